-- The wells of each plate that lands.
-- Grain: one row per plate, well.   Reads: landed_image.
select
    plate,
    well,
    min(well_row) as well_row,
    min(well_column) as well_column,
    min(perturbation) as perturbation,
    min(compound) as compound,
    min(concentration_um) as concentration_um,
    min(control_type) as control_type,
    min(moa) as moa,
    min(target) as target,
    min(cell_line) as cell_line,
    min(num_cells) as num_cells,
    arg_min(extra, field * 1000 + channel_index) as extra
from landed_image
group by plate, well, well_row, well_column
order by plate, well_row, well_column
