-- Images whose cells can be counted, with the count that their field has.
-- Grain: one row per plate, well, field, channel.   Reads: located_image, field.
-- $channel: name of the channel; NULL for all.
select
    located_image.plate,
    located_image.well,
    located_image.field,
    located_image.channel,
    located_image.channel_index,
    located_image.uri,
    located_image.has_pixels,
    field.num_cells
from located_image
inner join field using (plate, well, field)
where $channel::varchar is null or located_image.channel = $channel
order by located_image.plate, located_image.well, located_image.field
