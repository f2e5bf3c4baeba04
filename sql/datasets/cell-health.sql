-- Cell Health: A549, ES2 and HCC44 cells, CRISPR guides, Cell Painting.
-- Grain: one row per image.   Reads: image_file (every image under the folder of the images),
-- idr0080-screenA-annotation.csv.
-- Source: Way et al. 2021, doi 10.1091/mbc.E20-12-0784; images and annotation: Image Data Resource,
-- idr0080.
-- The name of a folder is the barcode of the plate, in some cases followed by the time of imaging.
with image as (
    select
        path,
        regexp_extract(
            path,
            '([^/]+)/(?:Images/)?r(\d+)c(\d+)f(\d+)p(\d+)-ch(\d+)sk\d+fk\d+fl\d+\.tiff?$',
            ['folder', 'well_row', 'well_column', 'field', 'z', 'channel']
        ) as name
    from image_file
),

placed as (
    select
        path,
        regexp_extract(name.folder, '^[^_]+') as plate,
        chr(64 + name.well_row::integer) || name.well_column as well,
        name.field,
        name.z,
        name.channel::integer as channel_number
    from image
    where name.folder <> ''
),

annotation as (
    select
        *,
        regexp_replace(plate, '_illum_corrected$', '') as barcode
    from "idr0080-screena-annotation"
)

select
    'cell-health' as dataset,
    placed.path,
    placed.plate,
    placed.well,
    placed.field,
    placed.z,
    placed.channel_number - 1 as channel_index,
    ['DNA', 'ER', 'RNA', 'AGP', 'Mito'][placed.channel_number] as channel,
    trim(annotation."Reagent Identifier") as perturbation,
    annotation."Gene Symbol" as target,
    case annotation."Control Type"
        when 'negative' then 'negcon'
        when 'positive' then 'poscon'
        when 'no reagent' then 'empty'
        else 'trt'
    end as control_type,
    annotation."Characteristics [Cell Line]" as cell_line
from placed
left join annotation
    on
        placed.plate = annotation.barcode
        and canonical_well(placed.well) = canonical_well(annotation.well)
