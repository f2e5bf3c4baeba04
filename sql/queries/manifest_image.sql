-- The images of the manifest. The slices of a stack are one image, with its files in order of z; an
-- image that is absent has none.
-- Grain: one row per plate, well, field, channel_index.   Reads: manifest.
with stack as (
    select
        plate,
        well,
        field,
        channel_index,
        coalesce(
            list(path order by z, page, path) filter (path is not null), []::varchar[]
        ) as paths,
        coalesce(
            list(page order by z, page, path) filter (path is not null), []::integer[]
        ) as pages,
        min(line) as line
    from manifest
    group by all
)

select
    manifest.* exclude (line, place, path, page, spelling),
    stack.paths,
    stack.pages
from manifest
inner join stack using (plate, well, field, channel_index, line)
order by
    manifest.plate, manifest.well_row, manifest.well_column, manifest.field, manifest.channel_index
