-- Images of kept channels that have no plane of the chosen slice or time point.
-- Grain: one row per plate, well, field, channel.   Reads: typed, named_channel, manifest.
-- $timepoint, $z: the one to keep, NULL for all. lacks: what the image lacks, and what it has.
with image as (
    select
        typed.plate,
        well_or_text(typed.well) as well,
        typed.field,
        named_channel.channel,
        named_channel.channel_index,
        list(distinct typed.timepoint order by typed.timepoint) as timepoints,
        list(distinct typed.z order by typed.z) filter (
            $timepoint is null or typed.timepoint is null or typed.timepoint = $timepoint
        ) as slices
    from typed
    inner join named_channel
        on
            typed.plate is not distinct from named_channel.plate
            and typed.channel_index is not distinct from named_channel.given_index
            and typed.channel is not distinct from named_channel.given_channel
    where named_channel.is_kept and ($z is not null or $timepoint is not null)
    group by all
)

select
    image.plate,
    image.well,
    image.field,
    image.channel,
    case
        when
            list_contains(image.timepoints, $timepoint) or len(image.timepoints) = 0
            or $timepoint is null
            then 'slice ' || $z || ' (it has ' || array_to_string(image.slices, ', ') || ')'
        else
            'time point ' || $timepoint
            || ' (it has ' || array_to_string(image.timepoints, ', ') || ')'
    end as lacks
from image
anti join manifest
    on
        image.plate is not distinct from manifest.plate
        and image.well is not distinct from manifest.well
        and image.field is not distinct from manifest.field
        and image.channel is not distinct from manifest.channel
order by all
