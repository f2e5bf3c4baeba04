-- One field of each dataset to look at: the first of its first treated well, else of any.
-- Grain: one row per dataset, channel_index.   Reads: plate, well, field, image.
with readable as (
    select distinct
        plate,
        well,
        field
    from image
    where qc not in ('damaged', 'absent')
),

first_field as (
    select
        plate.dataset,
        plate.uri,
        field.*
    from field
    inner join plate on plate.plate_id = field.plate
    inner join readable using (plate, well, field)
    inner join well on field.plate = well.plate and field.well = well.well
    qualify row_number() over (
        partition by plate.dataset
        order by coalesce(well.control_type, '') <> 'trt', field.plate, field.well, field.field
    ) = 1
)

select
    first_field.dataset,
    'plate ' || first_field.plate || ', well ' || first_field.well || ', field ' || first_field.field as place,
    first_field.uri || '/' || first_field.path as uri,
    image.channel_index,
    image.channel,
    image.p0_1,
    image.p99_9
from first_field
inner join image using (plate, well, field)
where image.qc not in ('damaged', 'absent')
order by first_field.dataset, image.channel_index
