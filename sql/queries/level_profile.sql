-- Profiles of a level, each with its members; metadata are NULL where the members differ.
-- Grain: one row per dataset, key of the level, channels.   Reads: member.
-- $level: see the keys below.
with keyed as (
    select
        *,
        case $level
            when 'field' then [plate, well, field::varchar]
            when 'well' then [plate, well]
            when 'treatment' then [compound, concentration_um::varchar]
            when 'compound' then [compound]
            when 'plate' then [plate, compound, concentration_um::varchar]
            when 'batch' then [source, batch, compound, concentration_um::varchar]
            when 'source' then [source, compound, concentration_um::varchar]
        end as key
    from member
)

select
    dataset,
    row_number() over (partition by dataset order by key, channels) - 1 as profile_id,
    key,
    agreed(source) as source,
    agreed(batch) as batch,
    agreed(plate) as plate,
    agreed(well) as well,
    agreed(field) as field,
    agreed(perturbation) as perturbation,
    agreed(compound) as compound,
    agreed(concentration_um) as concentration_um,
    agreed(control_type) as control_type,
    agreed(moa) as moa,
    agreed(target) as target,
    agreed(cell_line) as cell_line,
    count(*) as num_members,
    channels,
    list(row_id order by row_id) as row_ids
from keyed
group by dataset, key, channels
