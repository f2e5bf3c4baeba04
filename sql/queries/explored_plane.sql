-- Images of a well, with the location of their pixels and their window of intensities.
-- Grain: one row per field, channel_index.   Reads: plate, field, image, channel.
select
    image.field,
    image.channel_index,
    image.channel,
    channel.marker,
    plate.uri || '/' || field.path as uri,
    field.height_px,
    field.width_px,
    image.dtype,
    image.p0_1,
    image.p99_9,
    image.qc,
    image.problem,
    plate.content_hash
from image
inner join plate on plate.plate_id = image.plate
inner join field
    on image.plate = field.plate and image.well = field.well and image.field = field.field
left join channel
    on image.plate = channel.plate and image.channel_index = channel.channel_index
where image.plate = $plate and image.well = $well
order by image.field, image.channel_index
