-- The last score of each kind and set of channels, all channels and parts of them.
-- Grain: one row per dataset, model, normalization, metric, rules, label, level, channels.
-- Reads: score, run.
select score.* exclude (run_id, dropped)
from score
inner join run using (run_id)
qualify
    row_number() over (
        partition by
            score.dataset,
            score.model,
            score.normalization,
            score.metric,
            score.rules,
            score.label,
            score.level,
            score.channels
        order by run.started desc
    ) = 1
order by score.dataset asc, score.rules desc, score.metric asc, run.started asc, score.model asc
