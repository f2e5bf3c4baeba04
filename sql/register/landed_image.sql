-- The images that land: rows of the manifest with what was measured of their planes.
-- Grain: one row per plate, well, field, channel_index.   Reads: manifest, measured.
select *
from manifest
inner join measured using (plate, well, field, channel_index)
