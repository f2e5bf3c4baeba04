-- Wells of Insect that the paper scores: the inhibitors of complexes I, II and III are one mechanism.
-- Which concentrations are active is in a column `active` of your tables (true or false), where there is
-- one: the paper's list is in a supplement. Without it all count.
-- Grain: one row per raw profile that counts.   Reads: raw_profile.
-- Source: Morelli et al. 2025, section 2.3.2.
select
    * replace (
        case
            when regexp_matches(moa, 'complex (i|ii|iii)\b', 'i')
                then 'Mitochondrial complex I, II or III inhibitor'
            else moa
        end as moa
    )
from raw_profile
where coalesce(try_cast(extra ->> 'active' as boolean), true)
