-- Rows with a pixel size that is not positive, or a negative concentration.
-- Grain: one row per line of the manifest.   Reads: manifest.
select
    line,
    case when pixel_size_um <= 0 then 'pixel_size_um' else 'concentration_um' end as "column",
    'the value ' || case when pixel_size_um <= 0 then pixel_size_um else concentration_um end
    || ' is not possible' as problem
from manifest
where pixel_size_um <= 0 or concentration_um < 0
order by line
