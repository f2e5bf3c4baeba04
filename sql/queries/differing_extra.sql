-- Columns kept as extra that say different things within a well, which keeps those of its first image.
-- Grain: one row per column.   Reads: image_list.
with said as (
    select distinct
        plate,
        well,
        extra
    from image_list
    where extra is not null
),

entry as (
    select
        plate,
        well,
        unnest(map_entries(cast(extra as map (varchar, varchar)))) as entry
    from said
),

differing as (
    select
        plate,
        well,
        entry.key as "column",
        min(entry.value) as one,
        max(entry.value) as other
    from entry
    group by plate, well, entry.key
    having min(entry.value) <> max(entry.value)
)

select
    "column",
    count(*) as num_wells,
    arg_min(
        '''' || one || ''' and ''' || other || ''' for well ' || well || ' of plate ' || plate,
        (plate, well)
    ) as example
from differing
group by "column"
order by "column"
