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

cycled as (
    select
        field.*,
        cycle.pass,
        md5_number_lower(
            concat_ws('|', $seed, $epoch, cycle.pass, field.plate, field.well, field.field)
        ) as draw
    from field
    inner join (
        select
            dataset,
            unnest(range(ceil(max(count(*)) over () / count(*))::bigint)) as pass
        from field
        group by dataset
    ) as cycle using (dataset)
),

ranked as (
    select
        *,
        row_number() over (partition by dataset order by pass, draw, plate, well, field) as nth
    from cycled
)

select images[1 + (draw % len(images))::bigint] as image_id
from ranked
where nth <= (select max(num) from (select count(*) as num from field group by dataset))
order by md5_number_lower(concat_ws('|', 'order', draw, plate, well, field))
