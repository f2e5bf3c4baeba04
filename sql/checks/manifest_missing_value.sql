-- Rows without a value that every image must have.   Reads: manifest.
select
    line,
    'plate' as "column",
    'there is no value' as problem
from manifest
where plate is null
union all
select
    line,
    'field' as "column",
    'there is no value' as problem
from manifest
where field is null
order by line
