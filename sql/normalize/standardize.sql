-- Standardize: every feature minus its mean, divided by its standard deviation. Both are learnt from
-- the negative controls of each plate.
-- Grain: one row per raw profile.   Reads: raw_profile.
-- $per: plate, batch or dataset; $controls: all, or a control_type; $epsilon: added to the spread.
select
    row_id,
    1 as step,
    'mean_sd' as method,
    $epsilon::double as epsilon,
    unit_of(coalesce($per, 'plate'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
