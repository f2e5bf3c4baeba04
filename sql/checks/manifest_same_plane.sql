-- Rows whose plane is that of another channel of the field: its features would count twice.
-- Grain: one row per line of the manifest.   Reads: manifest.
with listed_twice as (
    select hash(path, coalesce(page, 0)) as plane
    from manifest
    group by all
    having count(*) > 1
),

shared as (
    select
        plate,
        well,
        field,
        path,
        coalesce(page, 0) as page,
        list(distinct channel order by channel) as channels
    from manifest
    semi join listed_twice on hash(path, coalesce(page, 0)) = listed_twice.plane
    group by all
    having count(distinct channel) > 1
)

select
    manifest.line,
    'path' as "column",
    'channels ' || array_to_string(shared.channels, ' and ') || ' of plate ' || manifest.plate
    || ' well ' || manifest.well || ' field ' || manifest.field || ' are one image, '''
    || manifest.path || ''': leave one out by --drop-channels ' || manifest.channel as problem
from manifest
inner join shared
    on
        manifest.plate = shared.plate
        and manifest.well = shared.well
        and manifest.field = shared.field
        and manifest.path = shared.path
        and coalesce(manifest.page, 0) = shared.page
qualify
    row_number() over (
        partition by manifest.plate, manifest.well, manifest.field, manifest.path, shared.page
        order by manifest.channel_index, manifest.line
    ) > 1
order by manifest.line
