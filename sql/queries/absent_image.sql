-- Images that fields lack though other fields of their plate have the channel: rows without a file.
-- Grain: one row per plate, well, field and missing channel.   Reads: manifest.
with plate_channel as (
    select distinct
        plate,
        channel_index,
        channel
    from manifest
),

field as (
    select
        plate,
        well,
        field,
        list(distinct channel_index) as channels,
        min(line) as line
    from manifest
    group by all
),

missing as (
    select
        field.line,
        field.plate,
        plate_channel.channel_index,
        plate_channel.channel
    from field
    inner join plate_channel using (plate)
    where not list_contains(field.channels, plate_channel.channel_index)
)

select
    manifest.* replace (
        null::varchar as path,
        null::integer as page,
        null::integer as z,
        null::varchar as marker,
        null::double as excitation_nm,
        null::double as emission_nm,
        missing.channel_index as channel_index,
        missing.channel as channel
    )
from missing
inner join manifest using (plate, line)
order by manifest.plate, manifest.well, manifest.field, missing.channel_index
