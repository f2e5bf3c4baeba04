-- What each dataset holds.
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
    sum(wells.num_wells)::bigint as wells,
    sum(fields.num_fields)::bigint as fields,
    sum(images.num_images)::bigint as images,
    string_agg(distinct channels.channels, '; ') as channels
from plate
inner join channels on plate.plate_id = channels.plate
inner join wells on plate.plate_id = wells.plate
inner join fields on plate.plate_id = fields.plate
inner join images on plate.plate_id = images.plate
group by plate.dataset
order by plate.dataset
