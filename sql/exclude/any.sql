-- Any other profile: replicates of the same plate and batch count too.
-- Grain: one row per profile and reason.   Reads: candidate.
select
    profile_id,
    'profile' as reason,
    profile_id::varchar as key
from candidate
