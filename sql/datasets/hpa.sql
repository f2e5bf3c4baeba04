-- Human Protein Atlas, subcellular section, as listed for the classification challenge of 2021.
-- Grain: one row per image.   Reads: kaggle_2021.tsv.
-- Source: Thul et al. 2017, doi 10.1126/science.aal3321; list: Le et al. 2022,
-- doi 10.1038/s41592-022-01606-z.
-- A field is named plate_well_field; each of its four colours is a file.
with named as (
    select
        *,
        regexp_extract(image, '[^/]+$') as name
    from kaggle_2021
)

select
    'hpa' as dataset,
    named.name || '_' || stain.colour || '.tif' as path,
    'hpa_' || split_part(named.name, '_', 1) as plate,
    split_part(named.name, '_', 2) as well,
    split_part(named.name, '_', 3) as field,
    stain.channel_index,
    stain.channel,
    stain.marker,
    named.cellline as cell_line,
    named.label as organelle,
    named.in_trainset,
    named._line,
    named._file
from named
cross join (
    values
    (0, 'blue', 'DNA', 'nucleus'),
    (1, 'red', 'Tubulin', 'microtubules'),
    (2, 'green', 'Protein', 'antibody'),
    (3, 'yellow', 'ER', 'endoplasmic reticulum')
) as stain (channel_index, colour, channel, marker)
