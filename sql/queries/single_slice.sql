-- Images of channels of one slice in fields of which other channels are stacks that have the slice
-- $z; the one slice stands for it.
-- Grain: one row per plate, well, field, channel.   Reads: typed, named_channel.
-- $z: the slice to keep, NULL for all; $timepoint: the time point to keep, NULL for all.
with image as (
    select
        typed.plate,
        typed.well,
        typed.field,
        named_channel.channel,
        count(distinct typed.z) as num_slices,
        bool_or(typed.z = $z) as has_slice
    from typed
    inner join named_channel
        on
            typed.plate is not distinct from named_channel.plate
            and typed.channel_index is not distinct from named_channel.given_index
            and typed.channel is not distinct from named_channel.given_channel
    where
        $z is not null
        and typed.z is not null
        and named_channel.is_kept
        and ($timepoint is null or typed.timepoint is null or typed.timepoint = $timepoint)
    group by all
),

flat_channel as (
    select
        plate,
        channel
    from image
    group by all
    having max(num_slices) = 1
),

deep_field as (
    select distinct
        plate,
        well,
        field
    from image
    where num_slices > 1 and has_slice
)

select
    image.plate,
    image.well,
    image.field,
    image.channel
from image
inner join flat_channel using (plate, channel)
inner join deep_field using (plate, well, field)
where not image.has_slice
order by all
