-- The manifest: every plane with its metadata, the same columns for every layout.
-- Grain: one row per plane of a file.
-- Reads: typed (the layout's rows in the manifest's columns), named_channel, single_slice.
-- $dataset: default dataset; $root: folder where relative paths start; $timepoint, $z: the one to
-- keep, NULL for all; $negcon: compound that is the negative control where no control type is
-- stated. spelling: the well as it is given.
with placed as (
    select
        well as spelling,
        well_or_text(well) as well,
        row_of(canonical_well(well)) as well_row,
        column_of(canonical_well(well)) as well_column
    from (select distinct well from typed) as given
)

select
    typed.* exclude (channel, channel_index)
    replace (
        case
            when typed.path[1] = '/' then typed.path else $root || '/' || typed.path
        end as path,
        coalesce(typed.dataset, $dataset) as dataset,
        placed.well as well,
        case
            when typed.control_type is not null then canonical_control_type(typed.control_type)
            when lower(typed.compound) = lower($negcon::varchar) then 'negcon'
            when typed.compound is not null then 'trt'
        end as control_type
    ),
    named_channel.channel_index,
    named_channel.channel,
    placed.well_row,
    placed.well_column,
    placed.spelling
from typed
inner join named_channel
    on
        typed.plate is not distinct from named_channel.plate
        and typed.channel_index is not distinct from named_channel.given_index
        and typed.channel is not distinct from named_channel.given_channel
inner join placed on typed.well is not distinct from placed.spelling
left join single_slice
    on
        typed.plate = single_slice.plate
        and typed.well = single_slice.well
        and typed.field = single_slice.field
        and named_channel.channel = single_slice.channel
where
    named_channel.is_kept
    and ($timepoint is null or typed.timepoint is null or typed.timepoint = $timepoint)
    and ($z is null or typed.z is null or typed.z = $z or single_slice.plate is not null)
