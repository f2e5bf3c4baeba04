-- Labels that are left out because they have only one profile. This is the filter of the published
-- program; the paper's text counts compounds and batches instead (reachable.sql).
-- Grain: one row per label.   Reads: candidate.
-- Source: the program of Morelli et al. 2025.
select
    label,
    'profile' as reason
from candidate
group by label
having count(*) < 2
order by label
