-- The samples of one epoch: shorter datasets are cycled to the length of the longest.
-- Grain: one row per sample, in the order of training.   Reads: sample (the images chosen).
-- $every_channel: each channel is a sample; otherwise one random channel of every field is.
-- $whole_repeats: cycle by whole repeats, as published; otherwise to exactly the longest.
-- $seed, $epoch: seed of the random draw, which is the same with any number of threads or processes.
-- Source: Morelli et al. 2025, section 2.2.1.
with field as (
    select
        dataset,
        min(image_id) as first_image,
        list(image_id order by image_id) as images
    from sample
    group by dataset, plate, well, field, case when $every_channel then channel_index end
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
        case
            when $whole_repeats then num_fields * (longest // num_fields) else longest
        end as num_drawn,
        unnest(range(ceil(longest / num_fields)::bigint)) as pass
    from size
),

cycled as (
    select
        field.dataset,
        field.images,
        field.first_image,
        cycle.num_drawn,
        cycle.pass,
        md5_number_lower(
            concat_ws('|', $seed, $epoch, cycle.pass, field.first_image)
        ) as draw
    from field
    inner join cycle on field.dataset = cycle.dataset
),

-- The order within a pass matters only for the last pass, because only a part of it is used.
ranked as (
    select
        *,
        row_number() over (partition by dataset order by pass, draw, first_image) as nth
    from cycled
)

select images[1 + (draw % len(images))::bigint] as image_id
from ranked
where nth <= num_drawn
order by hash(draw), first_image, pass
