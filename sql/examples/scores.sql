-- How do the models compare?
-- Grain: one row per score.   Reads: score, run.
select
    score.dataset,
    score.model,
    score.normalization,
    score.metric,
    score.rules,
    score.label,
    score.level,
    score.accuracy,
    score.interval_low,
    score.interval_high,
    score.n,
    score.ceiling,
    score.chance,
    run.started
from score
inner join run using (run_id)
order by run.number desc, score.dataset asc, score.metric asc, score.accuracy desc
