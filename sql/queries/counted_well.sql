-- Wells of a plate, with the sums of the cells that were counted in their fields; a number that a
-- table stated stays, unless $overwrite.
-- Grain: one row per well.   Reads: well, counted.   Parameters: $plate, $overwrite.
-- differs: the well has another number than was counted.
with summed as (
    select
        well,
        sum(num)::integer as num
    from counted
    group by well
)

select
    well.* replace (
        case
            when $overwrite then coalesce(summed.num, well.num_cells)
            else coalesce(well.num_cells, summed.num)
        end as num_cells
    ),
    coalesce(well.num_cells <> summed.num, false) as differs
from well
left join summed on summed.well = well.well
where well.plate = $plate
order by well.well_row, well.well_column
