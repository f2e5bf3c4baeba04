-- The channels of the images: as their files give them, as they are named, and which are kept.
-- Grain: one row per plate, given_index, given_channel.   Reads: typed.
-- $channel_names: new names, by the channels of all images in order of index ($by_rank), or by index
-- from the first; $channels, $drop_channels: names or patterns (*, ?) to keep and to leave out;
-- $keep_index: channels keep their given index.
-- A channel of a plate is a name. Its place among the channels is that of its lowest index.
with given as (
    select distinct
        plate,
        channel_index as given_index,
        channel as given_channel
    from typed
),

slotted as (
    select
        *,
        dense_rank() over (
            order by given_index nulls last, case when given_index is null then given_channel end
        ) as slot,
        1 + given_index - min(given_index) over () as step
    from given
),

named as (
    select
        *,
        coalesce(
            ($channel_names::varchar[])[case when $by_rank then slot else step end],
            given_channel,
            'ch' || given_index
        ) as channel
    from slotted
),

kept as (
    select
        *,
        channel is null
        or (
            (
                len($channels::varchar[]) = 0
                or len(list_filter($channels::varchar[], lambda name: channel glob name)) > 0
            )
            and len(list_filter($drop_channels::varchar[], lambda name: channel glob name)) = 0
        ) as is_kept
    from named
),

first_place as (
    select
        plate,
        channel,
        min(slot) as slot
    from kept
    where is_kept
    group by plate, channel
),

placed as (
    select
        *,
        dense_rank() over (partition by plate order by slot, channel) - 1 as position
    from first_place
)

select
    kept.plate,
    kept.given_index,
    kept.given_channel,
    kept.channel,
    kept.is_kept,
    case
        when $keep_index then coalesce(kept.given_index, placed.position)
        else placed.position
    end::integer as channel_index
from kept
left join placed
    on
        kept.plate is not distinct from placed.plate
        and kept.channel is not distinct from placed.channel
        and kept.is_kept
order by kept.plate, kept.given_index, kept.given_channel
