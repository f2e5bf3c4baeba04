-- The newest scores of questions that are not standard: they select some of the profiles, or change
-- how profiles are scored. Questions about some of the channels are not included.
-- Grain: one row per question, dataset, model, channels.   Reads: score, latest.
select score.* exclude (question_hash, run_id)
from score
inner join latest using (question_hash, dataset, model, channels, run_id)
where not latest.is_of_channels
order by
    score.dataset asc, score.rules desc, score.metric asc, latest.number asc, score.model asc
