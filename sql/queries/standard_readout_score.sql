-- The newest standard scores of each readout.
-- Grain: one row per dataset, model, normalization, level, regressor, stratum, readout.
-- Reads: readout_score, latest.
select readout_score.* exclude (question, question_hash, run_id)
from readout_score
inner join latest using (question_hash, dataset, model, run_id)
where latest.is_standard
order by readout_score.dataset, readout_score.stratum, readout_score.model, readout_score.readout
