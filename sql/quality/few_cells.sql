-- Wells with few cells: fewer than a share of the median of the negative controls of their plate, or
-- of all its wells where it has no negative control with a count.
-- Grain: one row per plate, well with num_cells.   Reads: well, plate.
-- $plates: names; $share: of the median.
with usual as (
    select
        plate,
        coalesce(
            median(num_cells) filter (where control_type = 'negcon'), median(num_cells)
        ) as num_cells
    from well
    where num_cells is not null and control_type is distinct from 'empty'
    group by plate
)

select
    plate.dataset,
    well.plate,
    well.well,
    well.num_cells::double as value,
    $share * usual.num_cells as threshold,
    well.num_cells < $share * usual.num_cells as is_flagged
from well
inner join usual using (plate)
inner join plate on plate.plate_id = well.plate
where
    well.num_cells is not null
    and well.control_type is distinct from 'empty'
    and list_contains($plates, well.plate)
order by plate.dataset, well.plate, well.well_row, well.well_column
