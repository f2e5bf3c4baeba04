-- How bright and sharp are the images of each channel, and how many are flagged?
-- Grain: one row per dataset, channel.   Reads: located_image.
select
    dataset,
    channel,
    count(*) as images,
    round(median(mean), 1) as median_mean_counts,
    round(median(p99_9), 1) as median_p99_9_counts,
    round(median(focus), 4) as median_focus,
    count(*) filter (where qc = 'blank') as blank,
    count(*) filter (where qc = 'saturated') as saturated,
    count(*) filter (where qc = 'damaged') as damaged,
    count(*) filter (where qc = 'absent') as absent
from located_image
group by dataset, channel
order by dataset, min(channel_index)
