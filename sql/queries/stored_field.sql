-- Fields of a plate that have pixels, with what was measured of their planes.
-- Grain: one row per plate, well, field.   Reads: field, plate, image.
-- $plate: its name. uri: of the field's group, relative to the lake, or absolute for plates outside the lake.
-- channels, means: indices of the planes that are neither damaged nor absent, and their means, counts.
with plane as (
    select
        plate,
        well,
        field,
        list(channel_index order by channel_index) as channels,
        list(mean order by channel_index) as means
    from image
    where plate = $plate and qc not in ('damaged', 'absent')
    group by plate, well, field
)

select
    plate.uri || '/' || field.path as uri,
    field.height_px,
    field.width_px,
    coalesce(plane.channels, []) as channels,
    coalesce(plane.means, []) as means
from field
inner join plate on plate.plate_id = field.plate
left join plane using (plate, well, field)
where field.path is not null and field.plate = $plate
order by uri
