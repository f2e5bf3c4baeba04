-- The images of an example field of each dataset: the first field of the first treated well, or of
-- the first well if no well is treated.
-- Grain: one row per dataset, channel_index.   Reads: located_image.
with first_field as (
    select
        plate,
        well,
        field
    from located_image
    where has_pixels
    qualify row_number() over (
        partition by dataset
        order by coalesce(control_type, '') <> 'trt', plate, well, field
    ) = 1
)

select
    dataset,
    'plate ' || plate || ', well ' || well || ', field ' || field as place,
    uri,
    channel_index,
    channel,
    p0_1,
    p99_9
from located_image
inner join first_field using (plate, well, field)
where has_pixels
order by dataset, channel_index
