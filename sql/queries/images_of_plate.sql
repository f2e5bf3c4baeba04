-- The images of a plate, each with the place of its field.
-- Grain: one row per well, field, channel.   Reads: image, field, plate.
-- $plate: the plate's name.
select
    image.plate,
    image.well,
    image.field,
    image.channel_index,
    image.channel,
    image.dtype,
    image.p0_1,
    image.p99_9,
    image.qc,
    plate.uri || '/' || field.path as uri
from image
inner join field using (plate, well, field)
inner join plate on plate.plate_id = image.plate
where image.plate = $plate
order by image.well, image.field, image.channel_index
