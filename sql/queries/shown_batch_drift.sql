-- The shifts of plates to show: the newest answers to standard questions.
-- Grain: one row per dataset, model, normalization, level, channels, plate.
-- Reads: batch_drift, latest.
select batch_drift.* exclude (question, question_hash, run_id)
from batch_drift
inner join latest using (question_hash, dataset, model, channels, run_id)
where latest.is_standard
-- The controls of a plate are the same, whatever the batches and labels that are compared.
qualify
    row_number() over (
        partition by
            batch_drift.dataset,
            batch_drift.model,
            batch_drift.normalization,
            batch_drift.level,
            batch_drift.channels,
            batch_drift.plate
        order by latest.number desc
    ) = 1
order by batch_drift.dataset, batch_drift.model, batch_drift.normalization, batch_drift.number
