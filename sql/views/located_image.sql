-- Images with their field, well and plate: the location of the pixels, and whether they are usable.
-- Grain: one row per plate, well, field, channel.   Reads: image, field, well, plate.
-- uri: of the field's group, relative to the lake, or absolute for plates outside the lake; NULL if
-- its pixels were not ingested. has_pixels: the plane can be shown. is_usable: a network can learn from it.
select
    plate.dataset,
    plate.source,
    plate.batch,
    plate.content_hash,
    image.*,
    plate.uri || '/' || field.path as uri,
    field.height_px,
    field.width_px,
    well.compound,
    well.control_type,
    well.moa,
    image.qc not in ('damaged', 'absent') as has_pixels,
    has_pixels and image.qc <> 'blank' as is_usable
from image
inner join field using (plate, well, field)
inner join well using (plate, well)
inner join plate on plate.plate_id = image.plate
