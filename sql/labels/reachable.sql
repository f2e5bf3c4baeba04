-- Labels that are left out because the rule cannot match them: all their profiles share one key of
-- some reason, so that no profile may neighbour another of its label (an MoA with one compound, or seen in one batch).
-- Grain: one row per label and reason.   Reads: candidate, key.
-- Source: Morelli et al. 2025, section 2.3.2.
select
    candidate.label,
    key.reason
from candidate
inner join key using (profile_id)
group by all
having count(distinct key.key) < 2 and count(key.key) = count(*)
order by all
