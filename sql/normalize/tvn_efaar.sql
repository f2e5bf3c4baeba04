-- Typical variation normalization of the EFAAR benchmark: standardize by all controls, rotate to
-- their principal axes, standardize by the controls of each batch, and align the controls of each
-- batch with all controls (CORAL).
-- Grain: one row per raw profile and step.   Reads: raw_profile.
-- $per: unit that is aligned: plate, batch or dataset; $controls: all, or a control_type; $epsilon: added
-- to the diagonals of the covariances, by default 0.5.
-- Source: Celik et al. 2024, doi 10.1371/journal.pcbi.1012463.
select
    row_id,
    1 as step,
    'mean_sd' as method,
    null::double as epsilon,
    dataset as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
union all by name
select
    row_id,
    2 as step,
    'rotate' as method,
    null::double as epsilon,
    dataset as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
union all by name
select
    row_id,
    3 as step,
    'mean_sd' as method,
    null::double as epsilon,
    unit_of(coalesce($per, 'batch'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
union all by name
select
    row_id,
    4 as step,
    'align' as method,
    coalesce($epsilon::double, 0.5) as epsilon,
    unit_of(coalesce($per, 'batch'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
