-- Rows with a well name that no plate of up to 1536 wells has.
-- Grain: one row per line of the manifest.   Reads: manifest.
select
    line,
    'well' as "column",
    'no plate has the well ''' || coalesce(well, '') || '''' as problem
from manifest
where coalesce(well_row not between 1 and 32 or well_column not between 1 and 48, true)
order by line
