-- The value of a group if all its rows have the same value, else NULL.
create or replace temp macro agreed(v) as
case when count(distinct v) = 1 and count(v) = count(*) then any_value(v) end;

-- Regular expression of blanks: of any alphabet, and marks that do not show, such as those of byte
-- order and of direction.
create or replace temp macro blanks() as
'[\s\x0b\x{85}\p{Z}\p{Cf}]+';

-- Regular expression of blanks at the ends of a text.
create or replace temp macro blank_ends() as
'^' || blanks() || '|' || blanks() || '$';

-- A text without blanks at its ends.
create or replace temp macro trimmed(value) as
regexp_replace(value::varchar, blank_ends(), '', 'g');

-- A text without blanks at its ends, with one plain blank for others.
create or replace temp macro spaced(value) as
regexp_replace(trimmed(value), blanks(), ' ', 'g');

-- An identifier as it is compared and kept: trimmed, in Unicode's composed form (NFC); NULL if
-- nothing is left.
create or replace temp macro identifier_of(value) as
nullif(nfc_normalize(trimmed(value)), '');

-- Row and column of a well, counted from 1: A01 is row 1, column 1; AF48 is row 32, column 48.
create or replace temp macro row_of(well) as
case
    when regexp_full_match(well, '[A-Z][0-9]+') then ascii(well) - 64
    when regexp_full_match(well, 'A[A-F][0-9]+') then ascii(well[2]) - 38
end;

create or replace temp macro column_of(well) as
try_cast(regexp_extract(well, '[0-9]+$') as integer);

-- Letters of a row, counted from 1; NULL beyond the 32 rows of 1536 wells (SLAS 4-2004).
create or replace temp macro letters_of(row_number) as
nullif(
    trim(
        substr(
            ' A B C D E F G H I J K L M N O P Q R S T U V W X Y ZAAABACADAEAF',
            2 * try_cast(row_number as integer) - 1,
            2
        )
    ),
    ''
);

-- The name of a well by the letters of its row and the digits of its column; NULL if one is missing.
create or replace temp macro well_at(letters, digits) as
nullif(letters, '') || lpad(nullif(digits, ''), 2, '0');

-- The name of a well, as A01, by its row (letters or a number) and its column (a number), counted
-- from 1; NULL unless both are known. Spreadsheets write 3 as 3.0.
create or replace temp macro well_of(row_text, column_text) as
list_transform(
    [{ 'row': upper(identifier_of(row_text)), 'column': identifier_of(column_text) }],
    lambda place: well_at(
        coalesce(
            nullif(regexp_extract(place.row, '^(?:[A-Z]|A[A-F])$'), ''),
            letters_of(regexp_extract(place.row, '^0*([1-9]|[12][0-9]|3[0-2])(?:\.0*)?$', 1))
        ),
        regexp_extract(place.column, '^0*([1-9]|[1-3][0-9]|4[0-8])(?:\.0*)?$', 1)
    )
)[1];

-- The name of a well as A01; NULL unless the spelling is known. Known are the letters of the row with
-- the number of the column (a1, A001, A-01, A_1, A - 1, A/1, AF48), and the numbers of both (r01c01,
-- R1-C1, row 1 column 1).
create or replace temp macro canonical_well(well) as
case
    when regexp_full_match(well::varchar, '[A-P](0[1-9]|1[0-9]|2[0-4])') then well::varchar
    else list_transform(
        list_transform(
            [upper(nullif(spaced(nfc_normalize(well::varchar)), ''))],
            lambda text: {
                'by_letters': regexp_extract(
                    text,
                    '^([A-Z]|A[A-F])\s*[-_/:]?\s*0*([1-9]|[1-3]\d|4[0-8])$',
                    ['row', 'column']
                ),
                'by_numbers': regexp_extract(
                    text,
                    '^R(?:OW)?\s*0*([1-9]|[12]\d|3[0-2])\s*[-_,/]?\s*C(?:OL(?:UMN)?)?\s*0*([1-9]|[1-3]\d|4[0-8])$',
                    ['row', 'column']
                )
            }
        ),
        lambda found: coalesce(
            well_at(found.by_letters.row, found.by_letters.column),
            well_at(letters_of(found.by_numbers.row), found.by_numbers.column)
        )
    )[1]
end;

-- The name of a well as A01, or its text as given if the spelling is not known.
create or replace temp macro well_or_text(well) as
coalesce(canonical_well(well), well);

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
