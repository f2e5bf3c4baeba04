-- How many images of each size the plates have to embed.
-- Grain: one row per plate, height, width.   Reads: image, field.
-- $plates: names of the plates.
select
    image.plate,
    field.height_px,
    field.width_px,
    count(*) as num_images
from image
inner join field using (plate, well, field)
where list_contains($plates, image.plate) and image.qc not in ('blank', 'damaged', 'absent')
group by all
