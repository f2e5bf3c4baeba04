-- Rows that name an image a second time.   Reads: manifest.
select
    line,
    'path' as "column",
    'plate ' || plate || ' well ' || well || ' field ' || field || ' channel ' || channel
    || ' is named ' || num_rows || ' times' as problem
from (
    select
        *,
        count(*) over (partition by plate, well, field, channel) as num_rows,
        row_number() over (partition by plate, well, field, channel order by line) as nth
    from manifest
) as numbered
where nth = 2
order by line
