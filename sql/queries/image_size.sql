-- How many usable images of each size do the plates have?
-- Grain: one row per plate, height_px, width_px.   Reads: located_image.
-- $plates: names of the plates.
select
    plate,
    height_px,
    width_px,
    count(*) as num_images
from located_image
where list_contains($plates, plate) and is_usable
group by all
