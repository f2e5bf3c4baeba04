-- Quality of the images of a dataset, averaged over the fields of each well.
-- Grain: one row per plate, well, channel.   Reads: image, plate.
-- $dataset: name of the dataset.
select
    image.plate,
    image.well,
    image.channel,
    avg(image.mean) as mean,
    avg(image.focus) as focus,
    avg(image.saturation) as saturation,
    count(*) filter (where image.qc <> 'ok')::integer as num_flagged
from image
inner join plate on plate.plate_id = image.plate
where plate.dataset = $dataset
group by image.plate, image.well, image.channel
