-- Hash of what the manifest says of each plate. The places of its files do not count.
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
