-- Intensities and flags of the images.
-- Grain: one row per dataset, channel.   Reads: image, plate.
select
    plate.dataset,
    image.channel,
    count(*) as images,
    round(median(image.mean), 1) as median_mean_counts,
    round(median(image.p99_9), 1) as median_p99_9_counts,
    round(median(image.focus), 4) as median_focus,
    count(*) filter (where image.qc = 'blank') as blank,
    count(*) filter (where image.qc = 'saturated') as saturated,
    count(*) filter (where image.qc = 'damaged') as damaged,
    count(*) filter (where image.qc = 'absent') as absent
from image
inner join plate on plate.plate_id = image.plate
group by plate.dataset, image.channel
order by plate.dataset, min(image.channel_index)
