-- Rows whose well is on no plate up to 1,536 wells.   Reads: manifest.
select
    line,
    'well' as "column",
    'no plate has the well ''' || coalesce(well, '') || '''' as problem
from manifest
where coalesce(well_row not between 1 and 32 or well_column not between 1 and 48, true)
order by line
