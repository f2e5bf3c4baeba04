-- The images of each plate that lands.
-- Grain: one row per plate, well, field, channel.   Reads: manifest, measured.
select
    manifest.plate,
    manifest.well,
    manifest.field,
    manifest.channel_index,
    manifest.channel,
    measured.dtype,
    measured.p0_1,
    measured.p99_9,
    measured.mean,
    measured.saturation,
    measured.focus,
    measured.qc,
    measured.problem,
    manifest.paths[1] as origin,
    measured.origin_hash,
    len(manifest.paths)::integer as num_slices
from manifest
inner join measured
    on
        manifest.plate = measured.plate
        and manifest.well = measured.well
        and manifest.field = measured.field
        and manifest.channel_index = measured.channel_index
order by
    manifest.plate,
    manifest.well_row,
    manifest.well_column,
    manifest.field,
    manifest.channel_index
