-- The newest standard scores of readouts: those of the last table and pattern that were asked for.
-- Grain: one row per dataset, model, normalization, level, regressor, stratum, readout.
-- Reads: readout_score, latest.
select readout_score.* exclude (question, question_hash, run_id)
from readout_score
inner join latest using (question_hash, dataset, model, run_id)
where latest.is_standard
qualify
    dense_rank() over (
        partition by
            readout_score.dataset,
            readout_score.model,
            readout_score.normalization,
            readout_score.level,
            readout_score.regressor,
            readout_score.stratum
        order by latest.started desc, latest.run_id asc
    ) = 1
order by readout_score.dataset, readout_score.stratum, readout_score.model, readout_score.readout
