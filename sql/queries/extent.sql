-- The plates of the manifest, its fields a well and its concentrations above 0.
-- Grain: one row.   Reads: image_list.
with placed as (
    select
        plate,
        well,
        count(distinct field) as num_fields,
        min(concentration_um) filter (concentration_um > 0) as lowest_um,
        max(concentration_um) filter (concentration_um > 0) as highest_um
    from image_list
    group by plate, well
)

select
    list(distinct plate order by plate) as plates,
    min(num_fields) as fewest_fields,
    max(num_fields) as most_fields,
    min(lowest_um) as lowest_um,
    max(highest_um) as highest_um
from placed
