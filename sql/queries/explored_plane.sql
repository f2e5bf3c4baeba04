-- Images of a well, with the location of their pixels and their percentiles of intensity.
-- Grain: one row per field, channel_index.   Reads: located_image, channel, field.
-- $plate, $well: names of the plate and the well.
select
    image.field,
    image.channel_index,
    image.channel,
    channel.marker,
    image.uri,
    image.height_px,
    image.width_px,
    image.dtype,
    image.p0_1,
    image.p99_9,
    image.qc,
    image.has_pixels,
    image.problem,
    image.content_hash,
    field.pixel_size_um
from located_image as image
left join channel using (plate, channel_index)
left join field using (plate, well, field)
where image.plate = $plate and image.well = $well
order by image.field, image.channel_index
