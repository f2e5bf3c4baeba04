-- BBBC037: U2OS cells, overexpressed genes, Cell Painting, 5 plates, illumination corrected.
-- Grain: one row per image.   Reads: BBBC037_image_path.csv, idr0033-screenA-annotation.csv,
-- BBBC037_v1_DatasetGroundTruth.csv.
-- Source: Rohban et al. 2017, doi 10.7554/eLife.24060; annotation: Image Data Resource, idr0033.
-- Wells without a gene are negative controls. Paths of images start with a folder named as the plate.
with image as (
    select
        _line,
        _file,
        platenumber as plate,
        wellnumber as well_number,
        stain.channel_index,
        stain.channel,
        case stain.channel
            when 'DNA' then imagepath_hoechst
            when 'ER' then imagepath_ersyto
            when 'RNA' then imagepath_ersytobleed
            when 'AGP' then imagepath_phgolgi
            when 'Mito' then imagepath_mito
        end as file
    from bbbc037_image_path
    cross join (
        values (0, 'DNA'), (1, 'ER'), (2, 'RNA'), (3, 'AGP'), (4, 'Mito')
    ) as stain (channel_index, channel)
),

annotation as (
    select
        *,
        regexp_replace(plate, '_illum_corrected$', '') as plate_number
    from "idr0033-screena-annotation"
    where plate like '%\_illum\_corrected' escape '\'
)

select
    'bbbc037' as dataset,
    image.plate || '/' || image.file as path,
    image.plate,
    coalesce(annotation.well, regexp_extract(image.file, '_([a-p][0-9]{2})_s[0-9]+_w', 1)) as well,
    regexp_extract(image.file, '_s([0-9]+)_w', 1) as field,
    image.channel_index,
    image.channel,
    annotation."ORF Identifier" as perturbation,
    annotation."Gene Symbol" as target,
    case when annotation."Gene Symbol" is null then 'negcon' else 'trt' end as control_type,
    truth.metadata_moa as moa,
    'U2OS' as cell_line,
    annotation."Has Phenotype" as has_phenotype,
    image._line,
    image._file
from image
left join annotation
    on image.plate = annotation.plate_number and image.well_number = annotation."Well Number"
left join bbbc037_v1_datasetgroundtruth as truth
    on annotation."ORF Identifier" = truth.metadata_broad_sample
