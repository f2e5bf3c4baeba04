-- The manifest: every plane with its metadata, the same columns for every layout.
-- Grain: one row per plane of a file.   Reads: typed (the layout's rows in the manifest's columns).
-- $dataset: default dataset; $root: folder where relative paths start; $channel_names: new names, by
-- channel index; $channels, $drop_channels: names or patterns (*, ?) to keep and to leave out;
-- $timepoint, $z: the one to keep, NULL for all; $keep_index: channels keep their given index;
-- $negcon: compound that is the negative control where no control type is stated.
with given as (
    select distinct
        plate,
        channel_index,
        channel
    from typed
),

channel_order as (
    select
        plate,
        channel_index as given_index,
        channel as given_channel,
        dense_rank() over (
            partition by plate order by channel_index nulls last, channel
        ) - 1 as position
    from given
),

named as (
    select
        *,
        coalesce(
            ($channel_names::varchar[])[position + 1], given_channel, 'ch' || given_index
        ) as channel
    from channel_order
),

kept as (
    select
        *,
        case
            when $keep_index then coalesce(given_index, position)
            else dense_rank() over (partition by plate order by position) - 1
        end::integer as channel_index
    from named
    where
        (
            len($channels::varchar[]) = 0
            or len(list_filter($channels::varchar[], lambda name: channel glob name)) > 0
        )
        and len(list_filter($drop_channels::varchar[], lambda name: channel glob name)) = 0
)

select
    typed.* exclude (channel, channel_index)
    replace (
        case
            when typed.path[1] = '/' then typed.path else $root || '/' || typed.path
        end as path,
        coalesce(typed.dataset, $dataset) as dataset,
        canonical_well(typed.well) as well,
        case
            when typed.control_type is not null then canonical_control_type(typed.control_type)
            when lower(typed.compound) = lower($negcon::varchar) then 'negcon'
            when typed.compound is not null then 'trt'
        end as control_type
    ),
    kept.channel_index,
    kept.channel,
    row_of(canonical_well(typed.well)) as well_row,
    column_of(canonical_well(typed.well)) as well_column
from typed
inner join kept
    on
        typed.plate is not distinct from kept.plate
        and typed.channel_index is not distinct from kept.given_index
        and typed.channel is not distinct from kept.given_channel
where
    ($timepoint is null or typed.timepoint is null or typed.timepoint = $timepoint)
    and ($z is null or typed.z is null or typed.z = $z)
