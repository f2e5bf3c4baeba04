-- The profiles that are in the lake.
-- Grain: one row per model, dataset, normalization, level.   Reads: part.
select
    model,
    dataset,
    normalization,
    level,
    num_rows as profiles
from part
where kind = 'profile'
order by all
