-- The wells of each plate that lands.
-- Grain: one row per plate, well.   Reads: manifest, measured.
select
    manifest.plate,
    manifest.well,
    min(manifest.well_row) as well_row,
    min(manifest.well_column) as well_column,
    min(manifest.perturbation) as perturbation,
    min(manifest.compound) as compound,
    min(manifest.concentration_um) as concentration_um,
    min(manifest.control_type) as control_type,
    min(manifest.moa) as moa,
    min(manifest.target) as target,
    min(manifest.cell_line) as cell_line,
    arg_min(manifest.extra, manifest.field * 1000 + manifest.channel_index) as extra
from manifest
inner join measured
    on
        manifest.plate = measured.plate
        and manifest.well = measured.well
        and manifest.field = measured.field
        and manifest.channel_index = measured.channel_index
group by manifest.plate, manifest.well, manifest.well_row, manifest.well_column
order by manifest.plate, manifest.well_row, manifest.well_column
