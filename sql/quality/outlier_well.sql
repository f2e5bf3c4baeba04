-- Wells that are far from their replicates: the modified z-score of the logarithm of the distance,
-- among the treated wells, or among the controls, of the dataset. Beyond 3.5 they are outliers.
-- Grain: one row per plate, well with a distance.   Reads: replicate_distance.
-- $limit: of the score. Source: Iglewicz & Hoaglin 1993, "How to detect and handle outliers".
with judged as (
    select
        *,
        0.6745 * (ln(distance) - median(ln(distance)) over of_kind)
        / nullif(mad(ln(distance)) over of_kind, 0) as score,
        count(*) over of_kind as num_alike
    from replicate_distance
    where distance > 0
    window of_kind as (partition by is_control)
)

select
    plate,
    well,
    case when num_alike >= 8 then score end as value,
    coalesce(num_alike >= 8 and score > $limit, false) as is_flagged
from judged
order by plate, well
