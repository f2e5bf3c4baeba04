-- The last score of each kind, over all channels where there are also scores over some.
-- Grain: one row per dataset, model, normalization, metric, rules, label, level, set of most channels.
-- Reads: score, run.
with latest as (
    select
        score.* exclude (run_id, dropped),
        run.started
    from score
    inner join run using (run_id)
    qualify
        row_number() over (
            partition by
                score.dataset,
                score.model,
                score.normalization,
                score.metric,
                score.rules,
                score.label,
                score.level,
                score.channels
            order by run.started desc
        ) = 1
)

select * exclude (started)
from latest
qualify
    len(channels) = max(len(channels)) over (
        partition by dataset, model, normalization, metric, rules, label, level
    )
order by dataset asc, rules desc, metric asc, started asc, model asc
