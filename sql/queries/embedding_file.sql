-- Files of the embeddings of a dataset by a model.
-- Grain: one row per plate.   Reads: part, plate.
-- $model, $dataset: names of the model and the dataset.
select
    part.plate,
    part.uri
from part
inner join plate on plate.plate_id = part.plate
where part.kind = 'embedding' and part.model = $model and plate.dataset = $dataset
order by part.plate
