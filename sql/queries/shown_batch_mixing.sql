-- The mixing of batches to show: the newest answers to standard questions.
-- Grain: one row per dataset, model, normalization, level, unit, label, wells, channels.
-- Reads: batch_mixing, latest.
select batch_mixing.* exclude (question, question_hash, run_id)
from batch_mixing
inner join latest using (question_hash, dataset, model, channels, run_id)
where latest.is_standard
order by
    batch_mixing.dataset asc,
    batch_mixing.unit asc,
    batch_mixing.wells desc,
    latest.number asc,
    batch_mixing.model asc
