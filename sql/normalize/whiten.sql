-- Whiten: ZCA whitening with a ridge. Directions in which the negative controls of the whole dataset
-- vary more than 1 shrink to about variance 1; the others stay almost as they are. It is meant for
-- profiles after mad_robustize, whose features have spread 1: it removes what differs between
-- untreated wells, also between those of different batches.
-- Grain: one row per raw profile.   Reads: raw_profile.
-- $per: plate, batch or dataset; $controls: all, or a control_type; $epsilon: added to the
-- eigenvalues, by default 1.
-- Source: Kessy et al. 2018, doi 10.1080/00031305.2016.1277159.
select
    row_id,
    1 as step,
    'whiten' as method,
    coalesce($epsilon::double, 1) as epsilon,
    unit_of(coalesce($per, 'dataset'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
