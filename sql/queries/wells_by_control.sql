-- Wells of the manifest by control type.
-- Grain: one row per control type, `without control type` last.   Reads: image_list.
select
    coalesce(control_type, 'without control type') as control_type,
    count(distinct (plate, well)) as num_wells
from image_list
group by image_list.control_type
order by list_position(['trt', 'negcon', 'poscon', 'empty'], image_list.control_type) nulls last
