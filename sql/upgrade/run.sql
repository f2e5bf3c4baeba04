-- The rows of run from a catalog without the column number.
-- Grain: one row per row of the old table.   Reads: old_run.
select
    *,
    row_number() over (order by ended, started, run_id) as number
from old_run
