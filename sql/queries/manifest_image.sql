-- The images of the manifest: slices of a stack are one image, in order of z.
-- Grain: one row per plate, well, field, channel.   Reads: manifest.
with stack as (
    select
        plate,
        well,
        field,
        channel_index,
        list(path order by z, page, path) as paths,
        list(page order by z, page, path) as pages,
        min(line) as line
    from manifest
    group by all
)

select
    manifest.* exclude (line, place, path, page),
    stack.paths,
    stack.pages
from manifest
inner join stack
    on
        manifest.plate = stack.plate
        and manifest.well = stack.well
        and manifest.field = stack.field
        and manifest.channel_index = stack.channel_index
        and manifest.line = stack.line
order by
    manifest.plate, manifest.well_row, manifest.well_column, manifest.field, manifest.channel_index
