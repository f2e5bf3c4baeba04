-- The wells (or fields) of a dataset that can be profiled, each with its metadata and the channels of
-- its vectors. The vectors are read from their files later (raw_vector.sql).
-- Grain: one row per plate, well; at the level field one row per plate, well, field.
-- Reads: embedding, model, plate, channel, well.
-- $model, $dataset: names of the model and the dataset; $level: 'field' or a coarser level.
with embedded as (
    select distinct
        embedding.plate,
        embedding.well,
        case when $level = 'field' then embedding.field end as field,
        embedding.channel_index,
        embedding.channel
    from embedding
    inner join plate on plate.plate_id = embedding.plate
    where embedding.model = $model and plate.dataset = $dataset
),

stains as (
    select
        plate.plate_id as plate,
        list_filter(
            list(channel.channel order by channel.channel_index), lambda name: name is not null
        ) as channels
    from plate
    left join channel on plate.plate_id = channel.plate
    group by plate.plate_id
),

-- Channels of a complete profile: those of the plate, or the vectors that the model computes of them.
plate_channels as (
    select
        stains.plate,
        case
            when model.channels is null then stains.channels
            when model.channels[1] <> '*' then model.channels
            else list_concat(
                stains.channels,
                list_filter(
                    model.channels[2:],
                    lambda name: name <> 'Correlation' or len(stains.channels) > 1
                )
            )
        end as channels
    from stains
    cross join model
    where model.model = $model
),

well_channels as (
    select
        plate,
        well,
        field,
        list(channel order by channel_index) as channels
    from embedded
    group by all
)

select
    well_channels.*,
    well_channels.channels = plate_channels.channels as is_complete,
    plate.dataset,
    plate.source,
    plate.batch,
    well.perturbation,
    well.compound,
    well.concentration_um,
    well.control_type,
    well.moa,
    well.target,
    well.cell_line,
    well.num_cells,
    well.extra
from well_channels
inner join plate_channels using (plate)
inner join plate on plate.plate_id = well_channels.plate
left join well on well_channels.plate = well.plate and well_channels.well = well.well
