-- Channels of plates in which an index has several names, or a name several indices.
-- Grain: one row per plate, given_index, channel.   Reads: typed, named_channel.
-- num_fields: fields that have the channel at this index; well, field: one of them.
with pair as (
    select distinct
        plate,
        given_index,
        given_channel,
        channel
    from named_channel
    where is_kept and given_index is not null
    qualify
        count(distinct channel) over (partition by plate, given_index) > 1
        or count(distinct given_index) over (partition by plate, channel) > 1
)

select
    pair.plate,
    pair.given_index,
    pair.channel,
    count(distinct row(typed.well, typed.field)) as num_fields,
    arg_min(typed.well, typed.line) as well,
    arg_min(typed.field, typed.line) as field
from pair
inner join typed
    on
        pair.plate is not distinct from typed.plate
        and pair.given_index = typed.channel_index
        and pair.given_channel is not distinct from typed.channel
group by all
order by pair.plate, pair.given_index, pair.channel
