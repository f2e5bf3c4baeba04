-- Wells of some plates, with the number of cells that a table tells where they had none.
-- Grain: one row per plate, well.   Reads: well, told.   Parameters: $plates.
-- differs: the well keeps another number than the table tells.
with once as (
    select distinct
        plate,
        well,
        num_cells
    from told
)

select
    well.* replace (coalesce(well.num_cells, once.num_cells) as num_cells),
    coalesce(well.num_cells <> once.num_cells, false) as differs
from well
left join once on once.plate = well.plate and once.well = well.well
where list_contains($plates, well.plate)
order by well.plate, well.well_row, well.well_column
