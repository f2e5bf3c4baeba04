-- Images to train on: those with pixels that are not blank.
-- Grain: one row per plate, well, field, channel.   Reads: located_image.
select
    dataset,
    plate,
    well,
    field,
    channel,
    channel_index,
    uri,
    height_px,
    width_px,
    dtype,
    p0_1,
    p99_9,
    batch,
    compound,
    control_type,
    moa
from located_image
where is_usable
