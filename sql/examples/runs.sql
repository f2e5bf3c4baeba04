-- Which commands ran on this lake, and how long did each take?
-- Grain: one row per run.   Reads: run.
select
    command,
    arguments,
    started,
    date_diff('millisecond', started, ended) / 1000 as seconds
from run
order by number desc
