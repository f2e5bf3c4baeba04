-- Not the same source and label.
-- A neighbour of the same source is refused only if it has the label of the query, as the published program does.
-- Grain: one row per profile and reason.   Reads: candidate.
select
    profile_id,
    'source' as reason,
    case when source is not null and label is not null then to_json([source, label])::varchar end as key
from candidate
