-- Labels that are left out because they have one profile only: the published program's filter, which
-- counts profiles where the paper's text counts compounds and batches.
-- Grain: one row per label.   Reads: candidate.
select
    label,
    'profile' as reason
from candidate
group by label
having count(*) < 2
order by label
