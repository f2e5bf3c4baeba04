-- The scores of readouts to show: the newest of a standard question, or of another question if none
-- is standard.
-- Grain: one row per dataset, model, normalization, level, regressor, stratum, readout.
-- Reads: readout_score, latest.
select
    readout_score.* exclude (question, question_hash, run_id),
    latest.special
from readout_score
inner join latest using (question_hash, dataset, model, run_id)
qualify
    dense_rank() over (
        partition by
            readout_score.dataset,
            readout_score.model,
            readout_score.normalization,
            readout_score.level,
            readout_score.regressor,
            readout_score.stratum
        order by latest.is_standard desc, latest.number desc
    ) = 1
order by readout_score.dataset, readout_score.stratum, readout_score.model, readout_score.readout
