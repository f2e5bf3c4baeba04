-- Rows without a plate, field, path or channel, which every image must have.
-- Grain: one row per line of the manifest.   Reads: manifest.
select
    line,
    case
        when plate is null then 'plate'
        when field is null then 'field'
        when path is null then 'path'
        else 'channel'
    end as "column",
    'the value is missing' as problem
from manifest
where plate is null or field is null or path is null or channel is null
order by line
