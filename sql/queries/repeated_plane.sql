-- Files of planes that several rows name.
-- Grain: one row per plate, well, field, channel and slice that is named more than once.
-- Reads: manifest.
select
    plate,
    well,
    field,
    list(path order by path) as paths
from manifest
group by plate, well, field, channel, z
having count(*) > 1 and plate is not null
order by all
