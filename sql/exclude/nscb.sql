-- Not the same compound, not the same batch.
-- Grain: one row per profile and reason.   Reads: candidate.   Source: Morelli et al. 2025, section 2.3.2.
select
    profile_id,
    'compound' as reason,
    compound as key
from candidate
union all by name
select
    profile_id,
    'batch' as reason,
    batch as key
from candidate
