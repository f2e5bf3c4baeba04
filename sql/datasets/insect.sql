-- Insect: Sf9 cells of Spodoptera frugiperda, insecticides and reference compounds, Cell Painting.
-- Grain: one row per image.   Reads: metadata_all_batches_sf9.csv (one row per field).
-- Source: Hecker et al. 2024, doi 10.1016/j.pestbp.2024.105983.
-- Morelli et al. 2025 use Batch3; the other batches are ingested too.
select
    'insect' as dataset,
    metadata_all_batches_sf9.batch || '/' || metadata_all_batches_sf9.plate || '/Images/'
    || metadata_all_batches_sf9.fov_id || 'p01-ch' || (stain.channel_index + 1)
    || 'sk1fk1fl1.tiff' as path,
    metadata_all_batches_sf9.batch,
    metadata_all_batches_sf9.plate,
    metadata_all_batches_sf9.well,
    regexp_extract(metadata_all_batches_sf9.fov_id, 'f([0-9]+)$', 1) as field,
    stain.channel_index,
    stain.channel,
    metadata_all_batches_sf9.perturbation_id as compound,
    metadata_all_batches_sf9.concentration as concentration_um,
    case
        when metadata_all_batches_sf9.perturbation_id = 'DMSO' then 'negcon' else 'trt'
    end as control_type,
    case
        when metadata_all_batches_sf9.perturbation_id <> 'DMSO' then metadata_all_batches_sf9.moa
    end as moa,
    'Sf9' as cell_line,
    metadata_all_batches_sf9._line,
    metadata_all_batches_sf9._file
from metadata_all_batches_sf9
cross join (
    values (0, 'DNA'), (1, 'ER'), (2, 'RNA'), (3, 'AGP'), (4, 'Mito')
) as stain (channel_index, channel)
