-- The images to train on, with a share of the controls: whole fields, and the same share of each
-- plate.
-- Grain: one row per image.   Reads: sample (the images chosen).
-- $share: share of negative and positive controls; $seed: seed of the random draw.
-- Source: Morelli et al. 2025 (their program keeps 15 %).
with ranked as (
    select
        *,
        dense_rank() over (
            partition by plate, control_type
            order by md5_number_lower(concat_ws('|', $seed, plate, well, field))
        ) as nth
    from sample
),

counted as (
    select
        *,
        max(nth) over (partition by plate, control_type) as num_fields
    from ranked
)

select * exclude (nth, num_fields)
from counted
where coalesce(control_type, 'trt') not in ('negcon', 'poscon') or nth <= ceil($share * num_fields)
