-- Fields that lack one of their plate's channels.   Reads: manifest.
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
        min(line) as line
    from manifest
    group by all
)

select
    field.line,
    'channel' as "column",
    'plate ' || field.plate || ' well ' || field.well || ' field ' || field.field
    || ' has no channel ' || plate_channel.channel as problem
from field
inner join plate_channel on field.plate = plate_channel.plate
left join manifest
    on
        field.plate = manifest.plate
        and field.well = manifest.well
        and field.field = manifest.field
        and plate_channel.channel = manifest.channel
where manifest.plate is null
order by field.line
