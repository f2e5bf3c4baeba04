-- The one value that a group agrees on, or NULL.
create or replace temp macro agreed(v) as
case when count(distinct v) = 1 and count(v) = count(*) then any_value(v) end;

-- Row and column of a well from 1: A01 is 1, 1 and AF48 is 32, 48.
create or replace temp macro row_of(well) as
case
    when regexp_full_match(well, '[A-Z][0-9]+') then ascii(well) - 64
    when regexp_full_match(well, 'A[A-F][0-9]+') then ascii(well[2]) - 38
end;

create or replace temp macro column_of(well) as
try_cast(regexp_extract(well, '[0-9]+$') as integer);

-- A well as A01, however it was written: a1, A1, A001.
create or replace temp macro canonical_well(well) as
upper(regexp_extract(trim(well), '^[A-Za-z]{1,2}'))
|| lpad(ltrim(regexp_extract(trim(well), '[0-9]+$'), '0'), 2, '0');

-- What shares its statistics: a plate, a batch of a source, or the whole dataset.
create or replace temp macro unit_of(per, plate, source, batch, dataset) as
case per
    when 'plate' then plate
    when 'batch' then coalesce(nullif(concat_ws('/', source, batch), ''), dataset)
    else dataset
end;

-- Whether a well of this control_type is one of the controls to learn from; 'all' are.
create or replace temp macro teaching(controls, control_type) as
controls = 'all' or coalesce(control_type = controls, false);
