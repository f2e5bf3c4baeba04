-- Fields of a plate, with the numbers of cells that were counted.
-- Grain: one row per field.   Reads: field, counted.   Parameters: $plate.
select field.* replace (coalesce(counted.num, field.num_cells)::integer as num_cells)
from field
left join counted
    on
        counted.plate = field.plate
        and counted.well = field.well
        and counted.field = field.field
where field.plate = $plate
order by field.well, field.field
