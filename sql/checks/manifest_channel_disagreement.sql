-- Rows that say something else of their channel, or of the pixels of their field, than the first row.
-- Grain: one row per line of the manifest and column.   Reads: manifest.
-- Wavelengths and sizes that differ by 1 % or less agree, as instruments round them.
with marked as (
    select
        plate,
        channel
    from manifest
    group by plate, channel
    having
        min(marker) <> max(marker)
        or max(excitation_nm) > 1.01 * min(excitation_nm)
        or max(emission_nm) > 1.01 * min(emission_nm)
),

sized as (
    select
        plate,
        well,
        field
    from manifest
    group by plate, well, field
    having max(pixel_size_um) > 1.01 * min(pixel_size_um)
),

said as (
    select
        manifest.line,
        manifest.place,
        'channel ' || manifest.channel || ' of plate ' || manifest.plate as what,
        unnest(['marker', 'excitation_nm', 'emission_nm']) as "column",
        unnest([
            manifest.marker, manifest.excitation_nm::varchar, manifest.emission_nm::varchar
        ]) as value
    from manifest
    semi join marked using (plate, channel)
    union all
    select
        manifest.line,
        manifest.place,
        'well ' || manifest.well || ' field ' || manifest.field || ' of plate ' || manifest.plate
            as what,
        'pixel_size_um' as "column",
        manifest.pixel_size_um::varchar as value
    from manifest
    semi join sized using (plate, well, field)
),

first_said as (
    select
        what,
        "column",
        arg_min(value, line) as value,
        arg_min(place, line) as place
    from said
    where value is not null
    group by what, "column"
)

select
    said.line,
    said."column",
    '''' || said.value || ''' for ' || said.what || ', but ''' || first_said.value || ''' in '
    || first_said.place || '; one of them is wrong' as problem
from said
inner join first_said on said.what = first_said.what and said."column" = first_said."column"
where
    said.value <> first_said.value
    and coalesce(
        abs(try_cast(said.value as double) / try_cast(first_said.value as double) - 1) > 0.01, true
    )
order by said.line, said."column"
