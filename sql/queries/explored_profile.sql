-- Profiles of wells in the lake: what the page can show of each model.
-- Grain: one row per model, normalization, dataset.   Reads: part.
select
    model,
    normalization,
    dataset,
    uri,
    sha256,
    num_rows
from part
where kind = 'profile' and level = 'well'
order by model, normalization, dataset
