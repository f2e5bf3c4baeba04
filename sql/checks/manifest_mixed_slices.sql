-- Rows without a slice of an image of which other rows have one: they may be its projection.
-- Grain: one row per line of the manifest.   Reads: manifest.
with mixed as (
    select
        plate,
        well,
        field,
        channel,
        list(distinct z order by z) filter (z is not null) as slices
    from manifest
    group by all
    having count(z) between 1 and count(*) - 1
)

select
    manifest.line,
    'z' as "column",
    '''' || manifest.path || ''' has no slice number, but plate ' || manifest.plate || ' well '
    || manifest.well || ' field ' || manifest.field || ' channel ' || manifest.channel
    || ' has the slices ' || array_to_string(mixed.slices, ', ')
    || ' too: leave out one or the other' as problem
from manifest
inner join mixed
    on
        manifest.plate = mixed.plate
        and manifest.well = mixed.well
        and manifest.field = mixed.field
        and manifest.channel = mixed.channel
where manifest.z is null
order by manifest.line
