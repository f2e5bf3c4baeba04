-- Not the same compound, not the same batch and label.
-- A neighbour of the same batch is refused only if it has the label of the query, as the published program does.
-- Grain: one row per profile and reason.   Reads: candidate.
select
    profile_id,
    'compound' as reason,
    compound as key
from candidate
union all by name
select
    profile_id,
    'batch' as reason,
    case when batch is not null and label is not null then to_json([batch, label])::varchar end as key
from candidate
