-- Measurements of images without pixels: all NULL, with the flag `absent`.
-- Grain: one row per plate, well, field, channel_index.   Reads: manifest.
select
    plate,
    well,
    field,
    channel_index,
    null::varchar as path,
    null::integer as height_px,
    null::integer as width_px,
    null::varchar as dtype,
    null::double as p0_1,
    null::double as p99_9,
    null::double as mean,
    null::double as saturation,
    null::double as focus,
    'absent' as qc,
    null::varchar as problem,
    null::varchar as origin_hash
from manifest
