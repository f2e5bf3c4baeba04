-- The images of each plate that lands; the origin of an image that its field does not have is empty.
-- Grain: one row per plate, well, field, channel_index.   Reads: landed_image.
select
    plate,
    well,
    field,
    channel_index,
    channel,
    dtype,
    p0_1,
    p99_9,
    mean,
    saturation,
    focus,
    qc,
    problem,
    coalesce(paths[1], '') as origin,
    origin_hash,
    greatest(len(paths), 1)::integer as num_slices
from landed_image
order by plate, well_row, well_column, field, channel_index
