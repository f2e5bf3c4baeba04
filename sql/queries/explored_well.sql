-- Wells of a dataset with their metadata, for colouring and filtering.
-- Grain: one row per plate, well.   Reads: plate, well, field.
-- $dataset: name of the dataset.
with num_field as (
    select
        plate,
        well,
        count(*) as num_fields
    from field
    group by plate, well
)

select
    plate.dataset,
    plate.plate_id as plate,
    well.well,
    well.well_row,
    well.well_column,
    plate.source,
    plate.batch,
    plate.barcode,
    well.perturbation,
    well.compound,
    well.concentration_um,
    well.control_type,
    well.moa,
    well.target,
    well.cell_line,
    well.extra::varchar as extra,
    coalesce(num_field.num_fields, 0)::integer as num_fields
from well
inner join plate on plate.plate_id = well.plate
left join num_field on well.plate = num_field.plate and well.well = num_field.well
where plate.dataset = $dataset
order by plate.plate_id, well.well_row, well.well_column
