-- How many images of each plate are flagged, and how sharp are its images?
-- Grain: one row per plate.   Reads: plate, well, image.
with flags as (
    select
        plate,
        count(*) as images,
        count(*) filter (where qc = 'blank') as blank,
        count(*) filter (where qc = 'saturated') as saturated,
        count(*) filter (where qc = 'damaged') as damaged,
        count(*) filter (where qc = 'absent') as absent,
        round(quantile_cont(focus, 0.05), 4) as focus_5_percent,
        round(median(focus), 4) as median_focus
    from image
    group by plate
),

wells as (
    select
        plate,
        count(*) as wells
    from well
    group by plate
)

select
    plate.dataset,
    plate.plate_id as plate,
    plate.source,
    plate.batch,
    coalesce(wells.wells, 0) as wells,
    flags.* exclude (plate)
from plate
left join wells on plate.plate_id = wells.plate
left join flags on plate.plate_id = flags.plate
order by plate.dataset, plate.source, plate.batch, plate.plate_id
