-- The configuration of each model, as JSON of unidino.models.config.ModelConfig.
-- Grain: one row per model.   Reads: model.
select
    model,
    weights_hash,
    json_merge_patch(
        preprocessing,
        json_object('kind', kind, 'num_dims', num_dims),
        case when architecture is not null then json_object('architecture', architecture) else '{}' end
    )::varchar as config
from model
order by model
