-- BBBC021: MCF-7 cells, three stains, 55 plates in 10 weeks. The batch is the week.
-- Grain: one row per image.   Reads: BBBC021_v1_image.csv, BBBC021_v1_moa.csv.
-- Source: Caie et al. 2010, doi 10.1158/1535-7163.MCT-09-1148; annotation: Ljosa et al. 2013.
with field as (
    select
        *,
        image_metadata_plate_dapi as plate,
        image_metadata_well_dapi as well,
        image_metadata_compound as compound,
        image_metadata_concentration::double as concentration_um,
        regexp_extract(image_filename_dapi, '_s([0-9]+)_', 1)::integer as field
    from bbbc021_v1_image
),

image as (
    select
        *,
        0 as channel_index,
        'DNA' as channel,
        image_pathname_dapi || '/' || image_filename_dapi as path
    from field
    union all by name
    select
        *,
        1 as channel_index,
        'Tubulin' as channel,
        image_pathname_tubulin || '/' || image_filename_tubulin as path
    from field
    union all by name
    select
        *,
        2 as channel_index,
        'Actin' as channel,
        image_pathname_actin || '/' || image_filename_actin as path
    from field
)

select
    'bbbc021' as dataset,
    image.path,
    regexp_extract(image.plate, '^Week[0-9]+') as batch,
    image.plate,
    image.well,
    image.field,
    image.channel_index,
    image.channel,
    image.compound,
    image.concentration_um,
    case when image.compound = 'DMSO' then 'negcon' else 'trt' end as control_type,
    case when image.compound <> 'DMSO' then moa.moa end as moa,
    'MCF-7' as cell_line,
    image.replicate,
    image._line,
    image._file
from image
left join bbbc021_v1_moa as moa
    on image.compound = moa.compound and image.concentration_um = moa.concentration::double
