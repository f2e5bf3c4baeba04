-- Images that training may draw from: every plane that is here and has something on it.
-- Grain: one row per plate, well, field, channel.   Reads: image, field, plate, well.
select
    plate.dataset,
    image.plate,
    image.well,
    image.field,
    image.channel,
    image.channel_index,
    plate.uri || '/' || field.path as uri,
    field.height_px,
    field.width_px,
    image.dtype,
    image.p0_1,
    image.p99_9,
    plate.batch,
    well.compound,
    well.control_type,
    well.moa
from image
inner join field using (plate, well, field)
inner join plate on plate.plate_id = image.plate
inner join well on image.plate = well.plate and image.well = well.well
where image.qc not in ('blank', 'damaged', 'absent')
