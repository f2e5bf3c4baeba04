-- The newest scores of questions that are not standard: of some profiles or channels only, or counted
-- in another way.
-- Grain: one row per question, dataset, model, channels.   Reads: score, latest.
select score.* exclude (question_hash, run_id)
from score
inner join latest using (question_hash, dataset, model, channels, run_id)
where not latest.is_of_channels
order by
    score.dataset asc, score.rules desc, score.metric asc, latest.started asc, score.model asc
