-- Names of datasets and plates that cannot be the name of a file in the lake, each with its first row.
-- Grain: one row per column and name.   Reads: manifest.
-- A file's name has up to 255 bytes, and the name of a model, of a process and endings beside this one.
with named as (
    select
        min(line) as line,
        'plate' as "column",
        plate as name
    from manifest
    group by plate
    union all
    select
        min(line) as line,
        'dataset' as "column",
        dataset as name
    from manifest
    group by dataset
)

select
    line,
    "column",
    case
        when strlen(name) > 150
            then
                'its name ''' || left(name, 40) || '...'' has ' || strlen(name)
                || ' bytes; 150 are allowed'
        when regexp_matches(name, '[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]')
            then 'it may not be named ' || regexp_replace(
                to_json(name)::varchar, '[\p{Cf}\p{Zl}\p{Zp}]', '?', 'g'
            ) || ': marks that do not show are reserved'
        else
            'it may not be named ''' || name
            || ''': ''/'', ''\'', a leading ''.'' and a last ''~'' are reserved'
    end as problem
from named
where
    regexp_matches(name, '[/\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|^\.|~2?$|^$')
    or strlen(name) > 150
order by line, "column"
