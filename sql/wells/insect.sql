-- Wells of Insect that the paper scores: mechanisms of two compounds or more, at active concentrations.
-- Inhibitors of the complexes I, II and III are one mechanism. A column `active` (true or false) of
-- your tables marks wells at an active concentration, which the paper lists in a supplement; without
-- this column all wells count.
-- Grain: one row per raw profile that counts.   Reads: raw_profile.
-- Source: Morelli et al. 2025, section 2.3.2, and its program. 258 wells remain.
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
