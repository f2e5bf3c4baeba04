-- One row per plate and well.
create table if not exists well (
    plate varchar not null,
    well varchar not null check (regexp_full_match(well, '[A-Z]{1,2}[0-9]{2}')),
    well_row integer not null check (well_row between 1 and 32),
    well_column integer not null check (well_column between 1 and 48),
    perturbation varchar,
    compound varchar,
    concentration_um double check (concentration_um >= 0),
    control_type varchar check (control_type in ('trt', 'negcon', 'poscon', 'empty')),
    moa varchar,
    target varchar,
    cell_line varchar,
    num_cells integer check (num_cells >= 0),
    extra json
);
comment on table well is 'One row per plate and well.';
comment on column well.well is 'Name of the well, such as A01.';
comment on column well.well_row is 'Row, counted from 1 (A) downwards.';
comment on column well.well_column is 'Column, counted from 1 rightwards.';
comment on column well.concentration_um is 'Concentration of the compound, micromolar.';
comment on column well.control_type is 'trt (treated), negcon or poscon (negative or positive control), or empty.';
comment on column well.moa is 'Mechanism of action.';
comment on column well.num_cells is
'Number of cells: of images, of a table with a row a cell, or as a table states; NULL if not counted.';
comment on column well.extra is 'Other columns of the manifest, by name.';
