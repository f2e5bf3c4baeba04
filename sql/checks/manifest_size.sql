-- Rows whose well lies beyond the rows or columns that their plate is said to have.
-- Grain: one row per line of the manifest.   Reads: manifest.
select
    line,
    'well' as "column",
    'the well ' || well || ' lies beyond the ' || coalesce(num_rows::varchar || ' rows', '')
    || case when num_rows is not null and num_columns is not null then ' and ' else '' end
    || coalesce(num_columns::varchar || ' columns', '') || ' that plate ' || coalesce(plate, '')
    || ' is said to have' as problem
from manifest
where well_row > num_rows or well_column > num_columns
order by line
