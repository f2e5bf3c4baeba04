-- The labels of the last score of each kind that ranks labels.
-- Grain: one row per dataset, model, normalization, measure, metric, rules, label, level, channels, class.
-- Reads: label_score, run.
select label_score.* exclude (run_id)
from label_score
inner join run using (run_id)
qualify
    dense_rank() over (
        partition by
            label_score.dataset,
            label_score.model,
            label_score.normalization,
            label_score.measure,
            label_score.metric,
            label_score.rules,
            label_score.label,
            label_score.level,
            label_score.channels
        order by run.started desc, run.run_id asc
    ) = 1
order by
    label_score.dataset asc,
    label_score.measure asc,
    label_score.metric asc,
    label_score.rules desc,
    label_score.class asc
