-- Rows with a control type that is none of the vocabulary.   Reads: manifest.
select
    line,
    'control_type' as "column",
    '''' || control_type || ''' is none of trt, negcon, poscon, empty' as problem
from manifest
where control_type not in ('trt', 'negcon', 'poscon', 'empty')
order by line
