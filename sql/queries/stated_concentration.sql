-- Concentrations in micromolar, of values as a table states them.
-- Grain: one row per line.
-- Reads: stated (line; texts: value, unit of the row, unit_of_column in the column's name, molar_mass
-- in g/mol).
-- A value may carry its unit ('300 nM'), which is all of the text behind the number. Units of mass
-- need a molar mass; none of any unit is none. `problem` says why a value has no concentration_um;
-- `read_as` is the unit that was understood.
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
        spaced(value) as value,
        try_cast(molar_mass as double) as molar_mass,
        spaced(unit) as unit_of_row,
        spaced(unit_of_column) as unit_of_column,
        regexp_extract(
            spaced(value),
            '^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s.,''’_+-].*)?$',
            ['number', 'unit']
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
        unit_of_column,
        try_cast(found.number as double) as number,
        nullif(found.unit, '') as unit_of_value,
        coalesce(nullif(found.unit, ''), unit_of_column, unit_of_row) as unit
    from part
),

spelled as (
    select
        *,
        unit_spelling(unit) as spelled,
        unit_spelling(unit_of_row) as spelled_of_row,
        unit_spelling(unit_of_column) as spelled_of_column
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
        when isinf(number) then '''' || value || ''' is not a possible concentration'
        when
            number = 0
            and meant.kind is null
            and not coalesce(regexp_full_match(unit_of_value, '%.*'), true)
            then 'unknown unit ''' || unit_of_value || ''''
        when number = 0 then null
        when unit is null then 'no unit'
        when meant.kind is null then 'unknown unit ''' || unit || ''''
        when
            unit_of_row is not null
            and coalesce((meant.kind, meant.exponent) <> (of_row.kind, of_row.exponent), true)
            then 'the value says ' || unit || ', its row ' || unit_of_row
        when
            unit_of_column is not null
            and coalesce((meant.kind, meant.exponent) <> (of_column.kind, of_column.exponent), true)
            then 'the value says ' || unit || ', the name of its column ' || unit_of_column
        when meant.kind = 'mass' and coalesce(molar_mass <= 0, true) then 'no molar mass'
    end as problem
from spelled
left join spelling as meant using (spelled)
left join spelling as of_row on spelled.spelled_of_row = of_row.spelled
left join spelling as of_column on spelled.spelled_of_column = of_column.spelled
order by line
