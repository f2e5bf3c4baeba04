-- JUMP Cell Painting (cpg0016): U2OS cells, 12 laboratories. Each laboratory lists its files in a
-- load_data table.
-- Grain: one row per image.   Reads: load_data.csv (or .parquet; one file or one per plate),
-- plate.csv.gz, well.csv.gz, compound.csv.gz, perturbation_control.csv.
-- Source: Chandrasekaran et al. 2023, doi 10.1101/2023.03.23.534023.
-- Every column FileName_Orig<channel> is a channel. Some laboratories have brightfield planes, which
-- --drop-channels 'Brightfield*' leaves out. Paths in the Cell Painting Gallery lose the name of the
-- bucket.
-- Optional: JUMP-Target-2_compound_metadata(InChIKey, pert_iname, target_list).
with document as (
    select
        _line,
        _file,
        metadata_source as source,
        metadata_batch as batch,
        metadata_plate as plate,
        metadata_well as well,
        metadata_site as field,
        to_json(load_data) as document
    from load_data
),

image as (
    select
        document.*,
        regexp_extract(file.name, '^FileName_Orig(.+)$', 1) as channel,
        document.document ->> file.name as file,
        document.document
        ->> ('PathName_Orig' || regexp_extract(file.name, '^FileName_Orig(.+)$', 1)) as folder
    from document, unnest(json_keys(document.document)) as file (name)
    where file.name like 'FileName_Orig%'
),

-- Channels in the order of the paper; channels that are no stain come last.
stained as (
    select
        *,
        list_position(['DNA', 'ER', 'RNA', 'AGP', 'Mito'], channel) as position,
        regexp_replace(folder, '^s3://[^/]+/', '') as place
    from image
    where file is not null
)

select
    'jump' as dataset,
    case
        when coalesce(stained.place, '') = '' then stained.file
        else rtrim(stained.place, '/') || '/' || stained.file
    end as path,
    coalesce(plate.metadata_source, stained.source) as source,
    coalesce(plate.metadata_batch, stained.batch) as batch,
    stained.plate,
    stained.well,
    stained.field,
    stained.channel,
    coalesce(stained.position - 1, 5 + dense_rank() over (order by stained.channel)) as channel_index,
    well.metadata_jcp2022 as perturbation,
    coalesce(control.metadata_name, target.pert_iname, compound.metadata_inchikey) as compound,
    coalesce(control.metadata_pert_type, case when well.metadata_jcp2022 is not null then 'trt' end)
        as control_type,
    target.target_list as target,
    'U2OS' as cell_line,
    plate.metadata_platetype as plate_type,
    stained._line,
    stained._file
from stained
left join plate on stained.plate = plate.metadata_plate and stained.source = plate.metadata_source
left join well
    on
        stained.source = well.metadata_source
        and stained.plate = well.metadata_plate
        and stained.well = well.metadata_well
left join compound on well.metadata_jcp2022 = compound.metadata_jcp2022
left join perturbation_control as control on well.metadata_jcp2022 = control.metadata_jcp2022
left join "jump-target-2_compound_metadata" as target
    on compound.metadata_inchikey = target.inchikey
