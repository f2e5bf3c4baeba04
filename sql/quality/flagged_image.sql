-- How far focus and mean intensity of each image are from those of its plate and channel, as modified
-- z-scores of their logarithms: 0.6745 (x - median) / MAD. Beyond 3.5 they are outliers.
-- Grain: one row per image and measure.   Reads: located_image.
-- $plates: names; $most: score of images that are not flagged.
-- Source: Iglewicz & Hoaglin 1993, "How to detect and handle outliers".
with measured as (
    select
        dataset,
        plate,
        well,
        field,
        channel,
        unnest(['focus', 'intensity']) as subject,
        unnest([
            case when focus > 0 then ln(focus) end,
            case when mean > 0 then ln(mean) end
        ]) as value
    from located_image
    where qc in ('ok', 'saturated') and list_contains($plates, plate)
),

judged as (
    select
        *,
        0.6745 * (value - median(value) over of_channel)
        / nullif(mad(value) over of_channel, 0) as score
    from measured
    where value is not null
    window of_channel as (partition by plate, channel, subject)
)

select
    * exclude (value),
    case
        when subject = 'focus' then 'blurred'
        when score < 0 then 'dim'
        else 'bright'
    end as measure,
    coalesce(
        case when subject = 'focus' then score < -$most else abs(score) > $most end, false
    ) as is_flagged
from judged
order by dataset, plate, channel, subject, well, field
