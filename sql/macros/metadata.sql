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
