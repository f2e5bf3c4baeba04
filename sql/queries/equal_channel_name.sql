-- Names that several channels of a field have, with the first such field of each plate.
-- Grain: one row per plate, channel.   Reads: typed, named_channel.
with suspect as (
    select
        plate,
        channel
    from named_channel
    where is_kept
    group by plate, channel
    having count(distinct given_index) > 1
)

select
    suspect.plate,
    suspect.channel,
    typed.well,
    typed.field,
    list(distinct typed.channel_index order by typed.channel_index) as indices
from typed
inner join named_channel
    on
        typed.plate is not distinct from named_channel.plate
        and typed.channel_index is not distinct from named_channel.given_index
        and typed.channel is not distinct from named_channel.given_channel
inner join suspect
    on
        named_channel.plate is not distinct from suspect.plate
        and named_channel.channel = suspect.channel
where named_channel.is_kept
group by suspect.plate, suspect.channel, typed.well, typed.field
having len(indices) > 1
qualify
    row_number() over (
        partition by suspect.plate, suspect.channel order by min(typed.line)
    ) = 1
order by suspect.plate, suspect.channel
