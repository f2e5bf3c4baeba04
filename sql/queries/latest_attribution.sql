-- The shares of the last attribution of each kind.
-- Grain: one row per dataset, model, normalization, level, label, class, channel.
-- Reads: attribution, run.
select attribution.* exclude (run_id)
from attribution
inner join run using (run_id)
qualify
    dense_rank() over (
        partition by
            attribution.dataset,
            attribution.model,
            attribution.normalization,
            attribution.level,
            attribution.label
        order by run.started desc, run.run_id asc
    ) = 1
