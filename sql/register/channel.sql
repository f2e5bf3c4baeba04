-- The channels of each plate that lands.
-- Grain: one row per plate, channel_index.   Reads: manifest, illuminated.
select
    plate,
    channel_index,
    min(channel) as channel,
    min(marker) as marker,
    min(excitation_nm) as excitation_nm,
    min(emission_nm) as emission_nm,
    min(illuminated.uri) as illumination
from manifest
left join illuminated using (plate, channel_index)
group by plate, channel_index
order by plate, channel_index
