-- The fields of each plate that lands.
-- Grain: one row per plate, well, field.   Reads: manifest, measured.
select
    manifest.plate,
    manifest.well,
    manifest.field,
    min(measured.path) as path,
    min(measured.height_px) as height_px,
    min(measured.width_px) as width_px,
    arg_min(manifest.pixel_size_um, manifest.channel_index) as pixel_size_um,
    arg_min(manifest.position_x_um, manifest.channel_index) as position_x_um,
    arg_min(manifest.position_y_um, manifest.channel_index) as position_y_um
from manifest
inner join measured
    on
        manifest.plate = measured.plate
        and manifest.well = measured.well
        and manifest.field = measured.field
        and manifest.channel_index = measured.channel_index
group by manifest.plate, manifest.well, manifest.well_row, manifest.well_column, manifest.field
order by manifest.plate, manifest.well_row, manifest.well_column, manifest.field
