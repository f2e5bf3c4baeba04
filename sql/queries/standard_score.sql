-- The newest scores of standard questions. If plates differ in channels, only the scores of the
-- largest set of channels are included.
-- Grain: one row per dataset, model, normalization, metric, rules, label, level, channels.
-- Reads: score, latest.
-- $parts_of_channels: include all sets of channels, and questions about some of the channels.
select score.* exclude (question_hash, run_id)
from score
inner join latest using (question_hash, dataset, model, channels, run_id)
where latest.is_standard or ($parts_of_channels and latest.is_of_channels)
qualify
    $parts_of_channels
    or len(score.channels) = max(len(score.channels)) over (
        partition by score.question_hash, score.dataset, score.model
    )
order by
    score.dataset asc, score.rules desc, score.metric asc, latest.number asc, score.model asc
