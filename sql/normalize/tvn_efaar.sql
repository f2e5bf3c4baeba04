-- Typical variation normalization, as the EFAAR benchmark does it: standardized on all controls,
-- turned onto their principal axes, standardized on the controls of each batch, and these aligned
-- with all (CORAL).
-- Grain: one row per raw profile and step.   Reads: raw_profile.
-- $per: what is aligned: plate, batch or dataset; $controls: all, or a control_type; $epsilon: added
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
