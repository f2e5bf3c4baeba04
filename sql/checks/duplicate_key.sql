-- Keys that occur more than once in a table that must have one row per key.
-- Grain: one row per table_name, key.   Reads: channel, well, field, image.
select
    'channel' as table_name,
    plate || ' ' || channel_index as key
from channel
group by plate, channel_index
having count(*) > 1
union all
select
    'well' as table_name,
    plate || ' ' || well as key
from well
group by plate, well
having count(*) > 1
union all
select
    'field' as table_name,
    plate || ' ' || well || ' ' || field as key
from field
group by plate, well, field
having count(*) > 1
union all
select
    'image' as table_name,
    plate || ' ' || well || ' ' || field || ' ' || channel_index as key
from image
group by plate, well, field, channel_index
having count(*) > 1
