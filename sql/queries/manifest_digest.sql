-- Hash of the manifest of each plate, without the paths of its files.
-- Grain: one row per plate.   Reads: image_list.
with described as (
    select * exclude (paths)
    from image_list
)

select
    plate,
    md5(
        string_agg(
            md5(to_json(described)::varchar), '' order by well, field, channel_index
        )
    ) as digest
from described
group by plate
order by plate
