-- Fields that lack a channel of their plate.
-- Grain: one row per plate, well, field and missing channel.   Reads: manifest, unchosen.
with plate_channel as (
    select distinct
        plate,
        channel
    from manifest
),

field as (
    select
        plate,
        well,
        field,
        min(line) as line,
        count(distinct channel) as num_channels
    from manifest
    group by all
),

plate as (
    select
        plate,
        count(*) as num_channels
    from plate_channel
    group by plate
),

incomplete as (
    select field.*
    from field
    inner join plate on field.plate = plate.plate
    where field.num_channels < plate.num_channels
)

select
    incomplete.line,
    'channel' as "column",
    'plate ' || incomplete.plate || ' well ' || incomplete.well || ' field ' || incomplete.field
    || case
        when unchosen.lacks is null then ' has no channel ' || plate_channel.channel
        else ' channel ' || plate_channel.channel || ' has no ' || unchosen.lacks
    end as problem
from incomplete
inner join plate_channel on incomplete.plate = plate_channel.plate
left join manifest
    on
        incomplete.plate = manifest.plate
        and incomplete.well = manifest.well
        and incomplete.field = manifest.field
        and plate_channel.channel = manifest.channel
left join unchosen
    on
        incomplete.plate = unchosen.plate
        and incomplete.well = unchosen.well
        and incomplete.field = unchosen.field
        and plate_channel.channel = unchosen.channel
where manifest.plate is null
order by incomplete.line, plate_channel.channel
