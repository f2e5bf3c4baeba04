-- Fields of which no channel is kept.
-- Grain: one row per plate, well, field.   Reads: typed, named_channel.
select
    typed.plate,
    typed.well,
    typed.field,
    string_agg(distinct named_channel.channel, ', ' order by named_channel.channel) as channels
from typed
inner join named_channel
    on
        typed.plate is not distinct from named_channel.plate
        and typed.channel_index is not distinct from named_channel.given_index
        and typed.channel is not distinct from named_channel.given_channel
group by typed.plate, typed.well, typed.field
having not bool_or(named_channel.is_kept)
order by all
