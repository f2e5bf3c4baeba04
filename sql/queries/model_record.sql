-- What is needed to register a model again: its row and that of its run, as JSON.
-- Grain: one row per model.   Reads: model, run.
-- $model: its name.
select json_object('model', to_json(registered), 'run', to_json(made))::varchar as record
from model as registered
inner join run as made using (run_id)  -- noqa: AL05
where registered.model = $model
