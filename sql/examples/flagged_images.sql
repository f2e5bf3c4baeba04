-- Which plates have images that are blank, saturated, damaged or absent?
-- Grain: one row per plate, channel, qc.   Reads: image.
select
    plate,
    channel,
    qc,
    count(*) as images
from image
where qc <> 'ok'
group by plate, channel, qc
order by images desc
