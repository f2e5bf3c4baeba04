-- Runs, newest first.
-- Grain: one row per run.   Reads: run.
select
    started,
    round(epoch(ended - started), 1) as seconds,
    command,
    arguments::varchar as arguments,
    versions::varchar as versions,
    run_id as run
from run
order by number desc
