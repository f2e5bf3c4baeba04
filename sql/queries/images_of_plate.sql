-- The images of a plate, in the order of its table of embeddings.
-- Grain: one row per well, field, channel.   Reads: located_image.
-- $plate: the plate's name.
select
    plate,
    well,
    field,
    channel_index,
    channel,
    dtype,
    p0_1,
    p99_9,
    qc,
    is_usable,
    uri
from located_image
where plate = $plate
order by well, field, channel_index
