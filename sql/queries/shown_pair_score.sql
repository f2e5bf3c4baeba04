-- The recalls of known pairs to show: the newest answers to standard questions.
-- Grain: one row per dataset, model, normalization, level, label, channels, database.
-- Reads: pair_score, latest.
select pair_score.* exclude (question, question_hash, run_id)
from pair_score
inner join latest using (question_hash, dataset, model, channels, run_id)
where latest.is_standard
-- Of several files of one name, the newest is shown.
qualify
    row_number() over (
        partition by
            pair_score.dataset,
            pair_score.model,
            pair_score.normalization,
            pair_score.level,
            pair_score.label,
            pair_score.channels,
            pair_score.database
        order by latest.number desc
    ) = 1
order by pair_score.dataset, pair_score.database, latest.number, pair_score.model
