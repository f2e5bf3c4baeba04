-- Models among which one is chosen to be shown: those trained here first, then the newest.
-- is_baseline: it cannot know anything of images, or only how many cells there are.
-- Grain: one row per model.   Reads: model.
-- $models: names of the models.
select
    model,
    kind in ('gaussian', 'cell_count')
    or (kind in ('vit', 'timm', 'microsnoop') and samples is null and parent is null) as is_baseline
from model
where list_contains($models, model)
order by samples is not null desc, created desc, model asc
