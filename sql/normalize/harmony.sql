-- Harmony: wells are clustered softly so that every cluster has wells of all batches, and in each cluster
-- the mean of each batch is moved to that of the cluster, again and again. It learns from all wells at
-- once, and knows nothing of wells that were not among them: it is fitted anew for each set of wells, and
-- has no statistics that could be applied to others. It is meant for profiles after mad_robustize, and
-- needs batches that share compounds: else it removes what differs between compounds, too.
-- Grain: one row per raw profile.   Reads: raw_profile.
-- $per: what is mixed: plate or batch.
-- Source: Korsunsky et al. 2019, doi 10.1038/s41592-019-0619-0; for image-based profiles Arevalo et al.
-- 2024, doi 10.1038/s41467-024-50613-5.
select
    row_id,
    1 as step,
    'harmony' as method,
    null::double as epsilon,
    unit_of(coalesce($per, 'batch'), plate, source, batch, dataset) as unit,
    true as teaches
from raw_profile
