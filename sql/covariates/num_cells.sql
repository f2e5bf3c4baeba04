-- What `regress=num_cells` learns from: a straight line in the number of cells is fitted to each
-- feature by least squares and subtracted, plate by plate, from all wells.
-- Grain: one row per raw profile.   Reads: raw_profile.
-- $per: plate, batch or dataset; $controls: all, or a control_type.
select
    row_id,
    unit_of(coalesce($per, 'plate'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'all'), control_type) as teaches,
    num_cells::double as covariate
from raw_profile
