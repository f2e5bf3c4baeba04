-- Not the same compound, not the same batch.
-- Grain: one row per profile and reason.   Reads: candidate.
-- Source: Morelli et al. 2025, section 2.3.2.
from candidate unpivot include nulls (key for reason in (compound, batch))
