-- MAD robustize: every feature minus its median, divided by its scaled median absolute deviation.
-- Both are learnt from all wells of each plate. A feature without spread becomes 0.
-- Grain: one row per raw profile.   Reads: raw_profile.
-- $per: plate, batch or dataset; $controls: all, or a control_type; $epsilon: added to the spread.
-- Source: Morelli et al. 2025, section 2.2.2.
select
    row_id,
    1 as step,
    'median_mad' as method,
    $epsilon::double as epsilon,
    unit_of(coalesce($per, 'plate'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'all'), control_type) as teaches
from raw_profile
