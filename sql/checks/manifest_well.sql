-- Rows whose well no plate of up to 1536 wells has, or is spelled in a way that is not known.
-- Grain: one row per line of the manifest.   Reads: manifest.
select
    line,
    'well' as "column",
    case
        when well is null then 'the well is missing'
        else
            'no plate has the well ''' || well
            || '''; wells are A01 to AF48, also spelled a1, A001, A-01 or r01c01'
    end as problem
from manifest
where well_row is null or well_column is null
order by line
