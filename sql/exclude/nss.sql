-- Not the same source.
-- Grain: one row per profile and reason.   Reads: candidate.   Source: Morelli et al. 2025, section 2.3.2.
select
    profile_id,
    'source' as reason,
    source as key
from candidate
