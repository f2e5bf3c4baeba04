-- Files of well profiles in the lake, which the explorer can show.
-- Grain: one row per model, normalization, dataset.   Reads: part.
select
    model,
    normalization,
    dataset,
    uri,
    sha256
from part
where kind = 'profile' and level = 'well'
order by model, normalization, dataset
