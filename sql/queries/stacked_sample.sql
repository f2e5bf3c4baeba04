-- Fields as inputs of a network that takes several channels at once, with lists over the channels.
-- Grain: one row per plate, well, field that has all of the channels.   Reads: sample.
-- $channels: names, in the order of the network's inputs.
with stack as (
    select
        plate,
        well,
        field,
        list(channel_index order by list_position($channels, channel)) as channel_index,
        list(p0_1 order by list_position($channels, channel)) as p0_1,
        list(p99_9 order by list_position($channels, channel)) as p99_9
    from sample
    where channel in $channels
    group by all
    having count(distinct channel) = len($channels)
)

select
    sample.* exclude (channel, channel_index, p0_1, p99_9),
    array_to_string($channels, '+') as channel,
    stack.channel_index,
    stack.p0_1,
    stack.p99_9
from sample
inner join stack using (plate, well, field)
where sample.channel = $channels[1]
order by sample.plate, sample.well, sample.field
