-- Rows of a plane that an earlier row has named already.
-- Grain: one row per line of the manifest.   Reads: manifest.
with repeated as (
    select
        plate,
        well,
        field,
        channel,
        z,
        count(*) as num_rows,
        list(distinct spelling order by spelling) as spellings
    from manifest
    group by all
    having count(*) > 1
)

select
    manifest.line,
    'path' as "column",
    'plate ' || manifest.plate || ' well ' || manifest.well
    || case
        when len(repeated.spellings) > 1
            then ' (spelled ' || array_to_string(repeated.spellings, ' and ') || ')'
        else ''
    end
    || ' field ' || manifest.field
    || ' channel ' || manifest.channel || coalesce(' slice ' || manifest.z, '')
    || ' is named ' || repeated.num_rows || ' times' as problem
from manifest
inner join repeated
    on
        manifest.plate = repeated.plate
        and manifest.well = repeated.well
        and manifest.field = repeated.field
        and manifest.channel = repeated.channel
        and manifest.z is not distinct from repeated.z
qualify
    row_number() over (
        partition by manifest.plate, manifest.well, manifest.field, manifest.channel, manifest.z
        order by manifest.line
    ) > 1
order by manifest.line
