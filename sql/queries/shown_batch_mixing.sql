-- The mixing of batches to show: the newest answers to standard questions.
-- Grain: one row per dataset, model, normalization, level, unit, label, wells, channels.
-- Reads: batch_mixing, latest.
select batch_mixing.* exclude (question, question_hash, run_id)
from batch_mixing
inner join latest using (question_hash, dataset, model, channels, run_id)
where latest.is_standard
-- Negative controls are compared with each other, whatever the label of the other wells is.
qualify
    row_number() over (
        partition by
            batch_mixing.dataset,
            batch_mixing.model,
            batch_mixing.normalization,
            batch_mixing.level,
            batch_mixing.channels,
            batch_mixing.unit,
            batch_mixing.wells,
            case when batch_mixing.wells = 'trt' then batch_mixing.label end
        order by latest.number desc
    ) = 1
order by
    batch_mixing.dataset asc,
    batch_mixing.unit asc,
    batch_mixing.wells desc,
    latest.number asc,
    batch_mixing.model asc
