-- BBBC021: MCF-7 cells, three stains, 55 plates in 10 weeks; the batch is the week.
-- Grain: one row per image.   Reads: BBBC021_v1_image.csv, BBBC021_v1_moa.csv.
-- Source: Caie et al. 2010, doi 10.1158/1535-7163.MCT-09-1148; annotation: Ljosa et al. 2013.
with field as (
    select
        *,
        Image_Metadata_Plate_DAPI as plate,
        Image_Metadata_Well_DAPI as well,
        Image_Metadata_Compound as compound,
        Image_Metadata_Concentration::double as concentration_um,
        row_number() over (
            partition by Image_Metadata_Plate_DAPI, Image_Metadata_Well_DAPI
            order by ImageNumber::integer
        ) as field
    from BBBC021_v1_image
),

image as (
    select
        *,
        0 as channel_index,
        'DNA' as channel,
        Image_PathName_DAPI || '/' || Image_FileName_DAPI as path
    from field
    union all by name
    select
        *,
        1 as channel_index,
        'Tubulin' as channel,
        Image_PathName_Tubulin || '/' || Image_FileName_Tubulin as path
    from field
    union all by name
    select
        *,
        2 as channel_index,
        'Actin' as channel,
        Image_PathName_Actin || '/' || Image_FileName_Actin as path
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
    image.Replicate as replicate,
    image._line
from image
left join BBBC021_v1_moa as moa
    on image.compound = moa.compound and image.concentration_um = moa.concentration::double
