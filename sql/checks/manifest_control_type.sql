-- Rows whose control type is not in the vocabulary.
-- Grain: one row per line of the manifest.   Reads: manifest.
select
    line,
    'control_type' as "column",
    '''' || control_type || ''' is none of trt, negcon, poscon, empty' as problem
from manifest
where canonical_control_type(control_type) not in ('trt', 'negcon', 'poscon', 'empty')
order by line
