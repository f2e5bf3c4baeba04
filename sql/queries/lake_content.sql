-- Numbers of plates, batches, wells, fields and images of each dataset, and its channels. Plates of
-- imported profiles have no images.
-- Grain: one row per dataset.   Reads: plate, channel, well, field, image.
with channels as (
    select
        plate,
        string_agg(channel, ', ' order by channel_index) as channels
    from channel
    group by plate
),

wells as (
    select
        plate,
        count(*) as num_wells
    from well
    group by plate
),

fields as (
    select
        plate,
        count(*) as num_fields
    from field
    group by plate
),

images as (
    select
        plate,
        count(*) as num_images
    from image
    group by plate
)

select
    plate.dataset,
    count(*) as plates,
    count(distinct plate.batch) as batches,
    coalesce(sum(wells.num_wells), 0)::bigint as wells,
    coalesce(sum(fields.num_fields), 0)::bigint as fields,
    coalesce(sum(images.num_images), 0)::bigint as images,
    string_agg(distinct channels.channels, '; ' order by channels.channels) as channels
from plate
left join channels on plate.plate_id = channels.plate
left join wells on plate.plate_id = wells.plate
left join fields on plate.plate_id = fields.plate
left join images on plate.plate_id = images.plate
group by plate.dataset
order by plate.dataset
