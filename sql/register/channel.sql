-- The channels of each plate that lands.
-- Grain: one row per plate, channel_index.   Reads: manifest, illuminated.
select
    manifest.plate,
    manifest.channel_index,
    min(manifest.channel) as channel,
    min(manifest.marker) as marker,
    min(manifest.excitation_nm) as excitation_nm,
    min(manifest.emission_nm) as emission_nm,
    min(illuminated.uri) as illumination
from manifest
left join illuminated
    on
        manifest.plate = illuminated.plate
        and manifest.channel_index = illuminated.channel_index
group by manifest.plate, manifest.channel_index
order by manifest.plate, manifest.channel_index
