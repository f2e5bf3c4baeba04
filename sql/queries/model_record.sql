-- What is needed to register a model again: its row and that of its run, as JSON.
-- Grain: one row per model.   Reads: model, run.
-- $model: its name.
select json_object('model', to_json(model), 'run', to_json(run))::varchar as record
from model
inner join run using (run_id)
where model.model = $model
