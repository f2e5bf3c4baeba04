-- Not the same well position, not the same plate and label.
-- A neighbour of the same plate is refused only if it has the label of the query, as the published program does.
-- Grain: one row per profile and reason.   Reads: candidate.
select
    profile_id,
    'well' as reason,
    well as key
from candidate
union all by name
select
    profile_id,
    'plate' as reason,
    case when plate is not null and label is not null then to_json([plate, label])::varchar end as key
from candidate
