-- The file of each plate of a dataset that a model has embedded.
-- Grain: one row per plate.   Reads: part, plate.   $model, $dataset.
select
    part.plate,
    part.uri
from part
inner join plate on plate.plate_id = part.plate
where part.kind = 'embedding' and part.model = $model and plate.dataset = $dataset
order by part.plate
