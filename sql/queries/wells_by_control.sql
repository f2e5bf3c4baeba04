-- Wells of the manifest by control type.
-- Grain: one row per control type, `without control type` last.   Reads: image_list.
with placed as (
    select distinct
        plate,
        well,
        control_type
    from image_list
)

select
    coalesce(control_type, 'without control type') as named,
    count(*) as num_wells
from placed
group by control_type
order by list_position(['trt', 'negcon', 'poscon', 'empty'], control_type) nulls last
