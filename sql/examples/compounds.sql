-- Which compounds are in the lake, and on how many plates and wells?
-- Grain: one row per dataset, compound, moa, control_type.   Reads: well, plate.
select
    plate.dataset,
    well.compound,
    well.moa,
    well.control_type,
    count(distinct well.plate) as plates,
    count(*) as wells
from well
inner join plate on plate.plate_id = well.plate
group by plate.dataset, well.compound, well.moa, well.control_type
order by plate.dataset asc, wells desc, well.compound asc
