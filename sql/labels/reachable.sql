-- Labels that are left out because no neighbour can match them: all profiles of the label share one
-- key of a reason, such as an MoA with one compound or in one batch. The rule then forbids all
-- neighbours of the same label.
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
