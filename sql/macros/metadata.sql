-- The value of a group if all its rows have the same value, else NULL.
create or replace temp macro agreed(v) as
case when count(distinct v) = 1 and count(v) = count(*) then any_value(v) end;

-- Row and column of a well, counted from 1: A01 is row 1, column 1; AF48 is row 32, column 48.
create or replace temp macro row_of(well) as
case
    when regexp_full_match(well, '[A-Z][0-9]+') then ascii(well) - 64
    when regexp_full_match(well, 'A[A-F][0-9]+') then ascii(well[2]) - 38
end;

create or replace temp macro column_of(well) as
try_cast(regexp_extract(well, '[0-9]+$') as integer);

-- The name of a well as A01; the input may be a1, A1 or A001.
create or replace temp macro canonical_well(well) as
upper(regexp_extract(trim(well), '^[A-Za-z]{1,2}'))
|| lpad(ltrim(regexp_extract(trim(well), '[0-9]+$'), '0'), 2, '0');

-- The unit whose profiles are normalized together: a plate, a batch of a source, or the dataset.
create or replace temp macro unit_of(per, plate, source, batch, dataset) as
case per
    when 'plate' then plate
    when 'batch' then coalesce(nullif(concat_ws('/', source, batch), ''), dataset)
    else dataset
end;

-- Whether a normalization learns from a well of this control_type; 'all': from every well.
create or replace temp macro teaching(controls, control_type) as
controls = 'all' or coalesce(control_type = controls, false);
