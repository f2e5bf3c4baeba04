-- What can be profiled: every model with the datasets it has embedded, and a hash of all of it.
-- Grain: one row per model, dataset.   Reads: part, plate.
select
    part.model,
    plate.dataset,
    md5(string_agg(part.sha256 || plate.content_hash, '|' order by part.plate)) as inputs
from part
inner join plate on plate.plate_id = part.plate
where part.kind = 'embedding'
group by part.model, plate.dataset
order by part.model, plate.dataset
