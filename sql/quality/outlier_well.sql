-- Wells that are far from their replicates: the modified z-score of the logarithm of the distance.
-- Strong treatments vary more than weak ones, so that a distance is first compared with the median
-- of its own replicates where these are five or more; fewer are compared with all of their kind.
-- Treated wells and negative controls are judged apart. An outlier is beyond 3.5 and at least twice
-- as far as usual: distances of many features vary so little that a small excess is already rare.
-- Grain: one row per plate, well with a distance.   Reads: replicate_distance.
-- $most: score of wells that are no outliers. Source: Iglewicz & Hoaglin 1993, "How to detect and handle outliers".
with compared as (
    select
        plate,
        well,
        is_control,
        count(*) over of_label >= 5 as has_many,
        ln(distance) - if(
            count(*) over of_label >= 5, median(ln(distance)) over of_label, 0
        ) as excess
    from replicate_distance
    where distance > 0
    window of_label as (partition by is_control, label)
),

judged as (
    select
        *,
        0.6745 * (excess - median(excess) over of_kind)
        / nullif(mad(excess) over of_kind, 0) as score,
        excess - median(excess) over of_kind >= ln(2) as is_far,
        count(*) over of_kind as num_alike
    from compared
    window of_kind as (partition by is_control, has_many)
)

select
    plate,
    well,
    case when num_alike >= 8 then score end as value,
    coalesce(num_alike >= 8 and score > $most and is_far, false) as is_flagged
from judged
order by plate, well
