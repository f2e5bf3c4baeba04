-- Plates whose images come from several measurements, with the first well that two of them have.
-- Grain: one row per plate.   Reads: manifest, entry (the measurement of each line).
with placed as (
    select distinct
        manifest.plate,
        manifest.well,
        entry.measurement
    from manifest
    inner join entry on manifest.line = entry.line
    where manifest.plate is not null and entry.measurement is not null
),

shared as (
    select
        plate,
        well,
        list(measurement order by measurement) as measurements
    from placed
    where well is not null
    group by all
    having count(*) > 1
)

select
    placed.plate,
    list(distinct placed.measurement order by placed.measurement) as measurements,
    min(shared.well) as well,
    arg_min(shared.measurements, shared.well) as measurements_of_well
from placed
left join shared on placed.plate = shared.plate
group by placed.plate
having count(distinct placed.measurement) > 1
order by placed.plate
