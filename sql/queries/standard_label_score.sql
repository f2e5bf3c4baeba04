-- The newest scores of labels, for standard questions and for questions about some of the channels.
-- Grain: one row per dataset, model, normalization, measure, metric, rules, label, level, channels, class.
-- Reads: label_score, latest.
select label_score.* exclude (question, question_hash, run_id)
from label_score
inner join latest using (question_hash, dataset, model, channels, run_id)
where latest.is_of_channels
order by
    label_score.dataset asc,
    label_score.measure asc,
    label_score.metric asc,
    label_score.rules desc,
    label_score.class asc
