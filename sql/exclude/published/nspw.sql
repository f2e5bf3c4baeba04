-- Not the same well position, not the same plate and label.
-- Grain: one row per profile and reason.   Reads: candidate.
-- Source: the program of Morelli et al. 2025.
from (select * replace (shared_by_label(plate, label) as plate) from candidate) as labelled
unpivot include nulls (key for reason in (well, plate))
