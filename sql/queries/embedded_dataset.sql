-- Models and datasets that can be profiled: those with embeddings, and those that were imported as
-- profiles (hashed by their content). inputs: hash of the vectors and of the plates' content.
-- Grain: one row per model, dataset.   Reads: part, plate, model.
select
    part.model,
    plate.dataset,
    'embedding' as kind,
    null::varchar as level,
    null::varchar as uri,
    md5(string_agg(part.sha256 || plate.content_hash, '|' order by part.plate)) as inputs
from part
inner join plate on plate.plate_id = part.plate
where part.kind = 'embedding'
group by part.model, plate.dataset
union all by name
select
    part.model,
    part.dataset,
    'profile' as kind,
    part.level,
    part.uri,
    part.sha256 as inputs
from part
inner join model on part.model = model.model
where part.kind = 'profile' and model.kind = 'imported' and part.inputs_hash = part.sha256
order by model, dataset
