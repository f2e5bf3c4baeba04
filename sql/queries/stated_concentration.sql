-- Concentrations in micromolar, of values as a table states them.
-- Grain: one row per line.   Reads: stated (line; texts: value, unit of the row, molar_mass in g/mol).
-- A value may carry its unit ('300 nM'). Units of mass need a molar mass. `problem` says why a value
-- has no concentration_um; `read_as` is the unit that was understood.
with prefix (letter, word, exponent) as (
    values
    ('', '', 0), ('m', 'milli', -3), ('u', 'micro', -6), ('n', 'nano', -9), ('p', 'pico', -12),
    ('f', 'femto', -15)
),

spelling as (
    select
        unnest(
            [letter || 'mol/l', letter || 'mol/liter', letter || 'mol/litre', letter || 'molperl']
            || [letter || 'molperliter', letter || 'molesperliter', letter || 'molesperlitre']
            || [word || 'molar', word || 'molperliter', word || 'molesperliter']
            || if(letter = '', ['M'], [letter || 'm'])
        ) as spelled,
        'molar' as kind,
        exponent
    from prefix
    union all
    select
        unnest([letter || 'g/ml', letter || 'gperml', letter || 'gml-1']) as spelled,
        'mass' as kind,
        exponent + 3 as exponent  -- of grams per litre
    from prefix
    union all
    select
        unnest([letter || 'g/l', letter || 'gperl', letter || 'gl-1']) as spelled,
        'mass' as kind,
        exponent
    from prefix
),

part as (
    select
        line,
        trim(value) as value,
        try_cast(molar_mass as double) as molar_mass,
        trim(unit) as unit_of_row,
        regexp_extract(
            trim(value), '^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*)$', ['number', 'unit']
        ) as found
    from stated
    where value is not null
),

given as (
    select
        line,
        value,
        molar_mass,
        unit_of_row,
        try_cast(found.number as double) as number,
        coalesce(nullif(found.unit, ''), unit_of_row) as unit
    from part
),

spelled as (
    select
        *,
        unit_spelling(unit) as spelled,
        unit_spelling(unit_of_row) as spelled_of_row
    from given
)

select
    spelled.line,
    spelled.value,
    spelled.unit as read_as,
    case
        when number = 0 then 0.0
        when meant.kind = 'molar' and meant.exponent >= -6
            then number * 10.0 ** (meant.exponent + 6)
        when meant.kind = 'molar' then number / 10.0 ** -(meant.exponent + 6)
        when meant.kind = 'mass' and molar_mass > 0
            then number * 10.0 ** (meant.exponent + 6) / molar_mass
    end as concentration_um,
    case
        when number is null then '''' || value || ''' is not a number with or without a unit'
        when number = 0 then null
        when unit is null then 'no unit'
        when meant.kind is null then 'unknown unit ''' || unit || ''''
        when
            unit_of_row is not null
            and coalesce((meant.kind, meant.exponent) <> (of_row.kind, of_row.exponent), true)
            then 'the value says ' || unit || ', its row ' || unit_of_row
        when meant.kind = 'mass' and coalesce(molar_mass <= 0, true) then 'no molar mass'
    end as problem
from spelled
left join spelling as meant using (spelled)
left join spelling as of_row on spelled.spelled_of_row = of_row.spelled
order by line
