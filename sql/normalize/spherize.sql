-- Spherize: ZCA whitening, by which the negative controls of each batch get covariance 1. Directions
-- that vary between untreated wells then count no more than others.
-- Grain: one row per raw profile.   Reads: raw_profile.
-- $per: plate, batch or dataset; $controls: all, or a control_type; $epsilon: added to the
-- eigenvalues, by default 1e-6.
-- Source: Kessy et al. 2018, doi 10.1080/00031305.2016.1277159.
select
    row_id,
    1 as step,
    'whiten' as method,
    $epsilon::double as epsilon,
    unit_of(coalesce($per, 'batch'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
