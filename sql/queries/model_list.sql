-- The models, with the number of plates that each has embedded.
-- Grain: one row per model.   Reads: model, part.
select
    model.model,
    model.kind,
    model.architecture,
    model.num_dims as dims,
    case when model.kind <> 'imported' then (model.preprocessing ->> 'crop_size_px')::integer end as crop_px,
    case when model.kind <> 'imported' then model.preprocessing ->> 'intensity' end as intensity,
    count(part.uri) as plates,
    model.samples,
    model.created
from model
left join part on model.model = part.model and part.kind = 'embedding'
group by all
order by model.created, model.model
