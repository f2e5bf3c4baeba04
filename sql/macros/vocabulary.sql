-- What programs write for a missing value. Words that differ in case alone may mean something: Na.
create or replace temp macro missing_words() as
[
    '', 'NA', 'na', 'N/A', 'n/a', 'N/a', 'N.A.', 'n.a.', 'N.a.', '#N/A', '#NA', '<NA>', '<na>',
    'NaN', 'nan', 'NAN', 'Nan', '-nan', '-NaN', 'nan(ind)', '-nan(ind)', 'NaT', 'NULL', 'null',
    'Null', '(null)', '(NULL)', '(Null)', '#NV', '#N/D', '#N/B', '#I/T'
];

-- Regular expression of the errors of spreadsheets in all languages: #REF!, #WERT!, #NOM?.
create or replace temp macro spreadsheet_errors() as
'^#[¡¿]?\p{L}[\p{L}\d/ _]{0,14}[!?]$';

-- Dashes, which mean a missing value unless their column has plus signs too.
create or replace temp macro dashes() as
['-', '--', '---', '–', '—', '−'];

-- A whole number, as 3 or 3.0; NULL for other texts. A cast alone would round 1.5.
create or replace temp macro whole_number(value) as
try_cast(
    if(regexp_full_match(trim(value::varchar), '[-+]?[0-9]+(\.0*)?'), value, null) as integer
);

-- A control type as one spelling: lower case, with single blanks.
create or replace temp macro control_word(value) as
trim(regexp_replace(lower(spaced(value)), '[\s_.-]+', ' ', 'g'));

-- A control type in the vocabulary of the table well, for the words that laboratories, JUMP and
-- CLUE (pert_type) use for it, whatever their case; another word stays as it is.
create or replace temp macro canonical_control_type(value) as
case
    when control_word(value) in (
        'trt', 'treatment', 'treated', 'treatments', 'test', 'sample', 'samples', 'compound',
        'perturbation', 'trt cp', 'trt sh', 'trt oe', 'trt xpr', 'trt lig'
    ) then 'trt'
    when control_word(value) in (
        'negcon', 'neg', 'negative', 'negative control', 'neg control', 'neg ctrl', 'negative ctrl',
        'neg con', 'nc', 'vehicle', 'vehicle control', 'solvent', 'solvent control', 'mock',
        'untreated', 'ctl vehicle', 'ctl untrt', 'ctl vector'
    ) then 'negcon'
    when
        control_word(value) in (
            'pos', 'positive', 'positive control', 'pos control', 'pos ctrl', 'positive ctrl',
            'pos con', 'pc', 'trt poscon'
        )
        or starts_with(control_word(value), 'poscon')
        then 'poscon'
    when control_word(value) in (
        'empty', 'empty well', 'blank', 'blanks', 'no cells', 'unused'
    ) then 'empty'
    else value
end;

-- A unit as one spelling: lower case without blanks, u for both signs of micro; M is molar, m is not.
create or replace temp macro unit_spelling(unit) as
case
    when spaced(unit) in ('M', 'm') then spaced(unit)
    else regexp_replace(translate(lower(spaced(unit)), chr(181) || chr(956), 'uu'), '[\s_]+', '', 'g')
end;
