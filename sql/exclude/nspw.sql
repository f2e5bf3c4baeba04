-- Not the same plate, not the same well.
-- Grain: one row per profile and reason.   Reads: candidate.   Source: Morelli et al. 2025, section 2.3.2.
select
    profile_id,
    'plate' as reason,
    plate as key
from candidate
union all by name
select
    profile_id,
    'well' as reason,
    well as key
from candidate
