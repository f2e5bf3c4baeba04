-- The planes that patches are drawn from: every dataset gets the same number, within a dataset every
-- channel, and within a channel every plate. Where there are too few planes, others take their place.
-- Grain: one row per plane, at most $num_planes.   Reads: sample (the images chosen).
-- $seed: seed of the random draw, the same with any number of threads.
-- num_patches: to draw of the plane, so that each dataset has an equal part of $num_patches.
with numbered as (
    select
        *,
        md5_number_lower(concat_ws('|', $seed, plate, well, field, channel_index)) as draw
    from sample
),

of_plate as (
    select
        *,
        row_number() over (partition by dataset, channel, plate order by draw) as nth_of_plate
    from numbered
),

of_channel as (
    select
        *,
        row_number() over (partition by dataset, channel order by nth_of_plate, draw) as nth_of_channel
    from of_plate
),

of_dataset as (
    select
        *,
        row_number() over (partition by dataset order by nth_of_channel, draw) as nth_of_dataset
    from of_channel
),

drawn as (
    select *
    from of_dataset
    qualify row_number() over (order by nth_of_dataset, draw) <= $num_planes
),

-- Datasets of few planes give more patches of each.
shared as (
    select
        *,
        dense_rank() over (order by dataset) as nth_dataset,
        count(*) over (partition by dataset) as num_planes
    from drawn
)

select
    * exclude (draw, nth_of_plate, nth_of_channel, nth_of_dataset, nth_dataset, num_planes),
    ceil($num_patches / max(nth_dataset) over () / num_planes)::bigint as num_patches
from shared
order by dataset, plate, well, field, channel_index
