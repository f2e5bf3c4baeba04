-- A treatment as text: its compound at its concentration, such as 'taxol 0.3 uM'. A compound without a
-- concentration is its own treatment, as at the level treatment; without a compound there is none.
create or replace temp macro treatment_of(compound, concentration_um) as
compound || coalesce(' ' || regexp_replace((concentration_um::double)::varchar, '\.0$', '') || ' uM', '');
