-- Rows that say something else of their plate or well than the first row that says anything.
-- Grain: one row per line of the manifest and column.   Reads: manifest.
-- Rows that say nothing agree with all others.
with differing as (
    select
        plate,
        well
    from manifest
    group by plate, well
    having
        min(compound) <> max(compound)
        or min(perturbation) <> max(perturbation)
        or min(concentration_um) <> max(concentration_um)
        or min(control_type) <> max(control_type)
        or min(moa) <> max(moa)
        or min(target) <> max(target)
        or min(cell_line) <> max(cell_line)
        or min(num_cells) <> max(num_cells)
),

differing_plate as (
    select plate
    from manifest
    group by plate
    having
        min(dataset) <> max(dataset)
        or min(source) <> max(source)
        or min(batch) <> max(batch)
        or min(barcode) <> max(barcode)
        or min(num_rows) <> max(num_rows)
        or min(num_columns) <> max(num_columns)
),

said as (
    select
        manifest.line,
        manifest.place,
        'well ' || manifest.well || ' of plate ' || manifest.plate as what,
        unnest(
            ['perturbation', 'compound', 'concentration_um', 'control_type', 'moa', 'target']
            || ['cell_line', 'num_cells']
        ) as "column",
        unnest([
            manifest.perturbation, manifest.compound, manifest.concentration_um::varchar,
            manifest.control_type, manifest.moa, manifest.target, manifest.cell_line,
            manifest.num_cells::varchar
        ]) as value
    from manifest
    semi join differing using (plate, well)
    union all
    select
        manifest.line,
        manifest.place,
        'plate ' || manifest.plate as what,
        unnest(['dataset', 'source', 'batch', 'barcode', 'num_rows', 'num_columns']) as "column",
        unnest([
            manifest.dataset, manifest.source, manifest.batch, manifest.barcode,
            manifest.num_rows::varchar, manifest.num_columns::varchar
        ]) as value
    from manifest
    semi join differing_plate using (plate)
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
where said.value <> first_said.value
order by said.line, said."column"
