-- Planes that several fields list.
-- Grain: one row per path, page.   Reads: manifest.
with listed_twice as (
    select hash(path, coalesce(page, 0)) as plane
    from manifest
    group by all
    having count(*) > 1
)

select
    path,
    coalesce(page, 0) as page,
    list_sort(
        list(distinct 'plate ' || plate || ' well ' || well || ' field ' || field)
    ) as fields
from manifest
semi join listed_twice on hash(path, coalesce(page, 0)) = listed_twice.plane
group by path, coalesce(page, 0)
having len(fields) > 1
order by path, coalesce(page, 0)
