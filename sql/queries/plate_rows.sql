-- What is wrong with the rows of a plate: none of a kind, or keys that occur more than once.
-- Grain: one row per plate.   Reads: plate, channel, well, field, image.
-- $plate: its name. problem: NULL if nothing is wrong.
with counted as (
    select
        'wells' as kind,
        count(*) as num_rows,
        count(distinct well) as num_keys
    from well
    where plate = $plate
    union all
    select
        'fields' as kind,
        count(*) as num_rows,
        count(distinct row(well, field)) as num_keys
    from field
    where plate = $plate
    union all
    select
        'images' as kind,
        count(*) as num_rows,
        count(distinct row(well, field, channel_index)) as num_keys
    from image
    where plate = $plate
    union all
    select
        'channels' as kind,
        count(*) as num_rows,
        count(distinct channel_index) as num_keys
    from channel
    where plate = $plate
)

select
    plate.plate_id as plate,
    plate.uri,
    (
        select min(num_keys || ' ' || kind || ' are registered in ' || num_rows || ' rows')
        from counted
        where num_rows = 0 or num_rows <> num_keys
    ) as problem
from plate
where plate.plate_id = $plate
