-- The last score of each readout.
-- Grain: one row per dataset, model, normalization, level, regressor, stratum, readout.
-- Reads: readout_score, run.
select readout_score.* exclude (run_id)
from readout_score
inner join run using (run_id)
qualify
    dense_rank() over (
        partition by
            readout_score.dataset,
            readout_score.model,
            readout_score.normalization,
            readout_score.level,
            readout_score.regressor,
            readout_score.stratum
        order by run.started desc, run.run_id asc
    ) = 1
order by readout_score.dataset, readout_score.stratum, readout_score.model, readout_score.readout
