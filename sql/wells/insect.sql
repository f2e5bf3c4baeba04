-- Wells of Insect that the paper scores: mechanisms of two compounds or more, where the inhibitors of
-- complexes I, II and III are one mechanism, at active concentrations.
-- Which wells are at an active concentration says a column `active` of your tables (true or false),
-- where there is one: the paper's list is in a supplement. Without it all count.
-- Grain: one row per raw profile that counts.   Reads: raw_profile.
-- Source: Morelli et al. 2025, section 2.3.2, and its program. It leaves 258 wells.
with merged as (
    select
        * replace (
            case
                when regexp_matches(moa, 'complex (i|ii|iii)\b', 'i')
                    then 'Mitochondrial complex inhibitor'
                else trim(moa)
            end as moa
        )
    from raw_profile
    where control_type is distinct from 'negcon'
),

mechanism as (
    select moa
    from merged
    where moa is not null
    group by moa
    having count(distinct compound) > 1
)

select merged.*
from merged
inner join mechanism using (moa)
where coalesce(try_cast(merged.extra ->> 'active' as boolean), true)
