-- Spherize: the negative controls of each batch get covariance 1 (ZCA whitening), so that what
-- varies between untreated wells counts no more than anything else.
-- Grain: one row per raw profile.   Reads: raw_profile.
-- $per: plate, batch or dataset; $controls: all, or a control_type; $epsilon: added to eigenvalues.
select
    row_id,
    1 as step,
    'whiten' as method,
    $epsilon::double as epsilon,
    unit_of(coalesce($per, 'batch'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
