-- Images that lack slices which other images of their channel have.
-- Grain: one row per plate, channel.   Reads: manifest.
-- num_images: how many lack some, of num_all; well, field: the first of them; lacks: what it lacks.
with image as (
    select
        plate,
        well,
        field,
        channel,
        list(distinct z) filter (z is not null) as slices
    from manifest
    group by all
),

stack as (
    select
        plate,
        channel,
        list_distinct(flatten(list(slices))) as slices,
        max(len(slices)) as num_slices,
        count(*) as num_all
    from image
    group by all
),

lacking as (
    select
        image.*,
        stack.num_all,
        list_sort(
            list_filter(
                stack.slices, lambda z: not list_contains(coalesce(image.slices, []), z)
            )
        ) as lacks
    from image
    inner join stack using (plate, channel)
    where stack.num_slices > 1 or image.slices is null
)

select
    plate,
    channel,
    count(*) as num_images,
    any_value(num_all) as num_all,
    arg_min(well, (well, field)) as well,
    arg_min(field, (well, field)) as field,
    arg_min(
        case
            when slices is null then 'no slice number'
            else 'no slice ' || array_to_string(lacks, ', ')
        end,
        (well, field)
    ) as lacks
from lacking
where len(lacks) > 0
group by plate, channel
order by plate, channel
