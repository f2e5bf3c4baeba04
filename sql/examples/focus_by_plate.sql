-- How sharp and how bright is each channel of each plate?
-- Grain: one row per plate, channel.   Reads: image.
select
    plate,
    channel,
    round(median(focus), 4) as focus,
    round(median(mean), 1) as mean_counts,
    round(median(p99_9), 1) as p99_9_counts,
    count(*) as images
from image
group by plate, channel
order by channel, plate
