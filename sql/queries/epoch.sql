-- The samples of one epoch: of every field one channel at random, datasets cycled to the longest.
-- Grain: one row per sample, in the order of training.   Reads: sample (the images chosen).
-- $seed, $epoch: the draw; the same for any number of threads, workers or ranks.
-- Source: Morelli et al. 2025, section 2.2.1.
with field as (
    select
        dataset,
        plate,
        well,
        field,
        list(image_id order by channel_index) as images
    from sample
    group by all
),

size as (
    select
        dataset,
        count(*) as num_fields,
        max(count(*)) over () as longest
    from field
    group by dataset
),

cycle as (
    select
        dataset,
        longest,
        unnest(range(ceil(longest / num_fields)::bigint)) as pass
    from size
),

cycled as (
    select
        field.*,
        cycle.longest,
        cycle.pass,
        md5_number_lower(
            concat_ws('|', $seed, $epoch, cycle.pass, field.plate, field.well, field.field)
        ) as draw
    from field
    inner join cycle on field.dataset = cycle.dataset
),

ranked as (
    select
        *,
        row_number() over (partition by dataset order by pass, draw, plate, well, field) as nth
    from cycled
)

select images[1 + (draw % len(images))::bigint] as image_id
from ranked
where nth <= longest
order by md5_number_lower(concat_ws('|', 'order', draw, plate, well, field))
