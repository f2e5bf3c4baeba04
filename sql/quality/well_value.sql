-- What is measured of each well beside profiles: its number of cells, and the mean intensity of its
-- usable images by channel.
-- Grain: one row per plate, well, subject, channel.   Reads: plate, well, image.
-- $plates: names.
select
    plate.dataset,
    well.plate,
    well.well,
    well.well_row,
    well.well_column,
    plate.num_rows,
    plate.num_columns,
    well.control_type,
    well.compound,
    well.concentration_um,
    'num_cells' as subject,
    null::varchar as channel,
    well.num_cells::double as value
from well
inner join plate on plate.plate_id = well.plate
where well.num_cells is not null and list_contains($plates, well.plate)
union all
select
    plate.dataset,
    well.plate,
    well.well,
    well.well_row,
    well.well_column,
    plate.num_rows,
    plate.num_columns,
    well.control_type,
    well.compound,
    well.concentration_um,
    'intensity' as subject,
    image.channel,
    avg(image.mean) as value
from well
inner join plate on plate.plate_id = well.plate
inner join image on well.plate = image.plate and well.well = image.well
where image.qc in ('ok', 'saturated') and list_contains($plates, well.plate)
group by all
order by all
