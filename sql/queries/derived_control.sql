-- The compounds of wells without a stated control type, with the number of wells.
-- Grain: one row per compound.   Reads: typed.
-- $negcon: compound that is the negative control. may_be_control: the name of the compound is that of
-- a solvent, or says that there is none.
select
    compound,
    count(distinct row(plate, well)) as num_wells,
    lower(compound) = lower($negcon::varchar) as is_negcon,
    regexp_matches(
        lower(compound),
        '\bdmso|dimethyl ?sulf|^(vehicle|solvent|mock|untreated|empty|blank|control|none)\b'
        || '|^(water|pbs|medium|media|no[ _-](compound|cpd|drug|treatment|cells))\b'
    )
    or canonical_control_type(compound) in ('negcon', 'empty') as may_be_control
from typed
where control_type is null and compound is not null
group by compound
order by compound
