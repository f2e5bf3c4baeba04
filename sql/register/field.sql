-- The fields of each plate that lands, with pixel size and position from the first channel.
-- Grain: one row per plate, well, field.   Reads: landed_image.
select
    plate,
    well,
    field,
    min(path) as path,
    min(height_px) as height_px,
    min(width_px) as width_px,
    arg_min(pixel_size_um, channel_index) as pixel_size_um,
    arg_min(position_x_um, channel_index) as position_x_um,
    arg_min(position_y_um, channel_index) as position_y_um
from landed_image
group by plate, well, well_row, well_column, field
order by plate, well_row, well_column, field
