-- Rows whose dataset or plate cannot be the name of a file in the lake.
-- Grain: one row per line of the manifest and column.   Reads: manifest.
with named as (
    select
        line,
        'plate' as "column",
        plate as name
    from manifest
    union all
    select
        line,
        'dataset' as "column",
        dataset as name
    from manifest
)

select
    line,
    "column",
    'it may not be named ''' || name || ''': ''/'', ''\'', a leading ''.'' and a last ''~'' are reserved' as problem
from named
where regexp_matches(name, '[/\\]|^\.|~$|^$')
union all
select
    line,
    "column",
    'it may not be named ''' || name[:20] || ' ...'': a name of ' || strlen(name)
    || ' bytes is too long for a file; at most 200 are allowed' as problem
from named
where strlen(name) > 200
order by line, "column"
