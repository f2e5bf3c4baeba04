-- The channels of the manifest's plates.
-- Grain: one row per set of channels, by index and name.   Reads: image_list.
with plate_channel as (
    select distinct
        plate,
        channel_index,
        channel
    from image_list
),

plate_set as (
    select
        plate,
        list((channel_index, channel) order by channel_index, channel) as channels
    from plate_channel
    group by plate
)

select
    count(*) as num_plates,
    channels
from plate_set
group by channels
order by min(plate)
