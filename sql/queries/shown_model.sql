-- One model, with the names of the plates that it has embedded.
-- Grain: one row.   Reads: model, part.
select
    samples,
    parent,
    licence,
    created,
    weights_hash,
    (
        select list(part.plate order by part.plate)
        from part
        where part.model = model.model and part.kind = 'embedding'
    ) as plates
from model
where model.model = $model
