-- The newest figures of assay quality of each plate: of each model, and of images and cells.
-- Grain: one row per row of quality that the newest run of its plate and model wrote.
-- Reads: quality, run.
select quality.*
from quality
inner join run using (run_id)
qualify
    run.number = max(run.number) over (
        partition by quality.dataset, quality.plate, quality.model
    )
