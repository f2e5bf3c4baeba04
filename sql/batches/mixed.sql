-- Profiles whose batches can be compared: those of a label that two batches or more have. A label of one
-- batch cannot tell what differs between batches from what differs between labels. Negative controls are
-- one label, whatever they are called.
-- Grain: one row per profile that counts.   Reads: compared (position, label, control_type, plate, batch,
-- source, is_usable).
-- $by: plate, batch or source (the laboratory).
with placed as (
    select
        position,
        case when control_type = 'negcon' then 'negcon' else label end as label,
        case $by
            when 'plate' then plate
            when 'source' then source
            when 'batch' then nullif(concat_ws('/', source, batch), '')
        end as unit,
        case when control_type = 'negcon' then 'negcon' else 'trt' end as wells
    from compared
    where is_usable and control_type is distinct from 'empty'
)

select *
from placed
where unit is not null and label is not null
qualify count(distinct unit) over (partition by wells, label) > 1
order by position
