-- What there is to profile of a dataset: each well (or field) with its metadata and the names of its
-- vectors; the vectors themselves stay in their files (raw_vector).
-- Grain: one row per plate, well (and field at that level).
-- Reads: embedding, model, plate, channel, well.
-- $model, $dataset; $level: 'field' or any coarser level.
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

own_channels as (
    select
        plate.plate_id as plate,
        list_filter(
            list(channel.channel order by channel.channel_index), lambda name: name is not null
        ) as channels
    from plate
    left join channel on plate.plate_id = channel.plate
    group by plate.plate_id
),

-- What a whole profile consists of: the plate's channels, or what the model makes of them.
plate_channels as (
    select
        own_channels.plate,
        case
            when model.channels is null then own_channels.channels
            when model.channels[1] <> '*' then model.channels
            else list_concat(
                own_channels.channels,
                list_filter(
                    model.channels[2:],
                    lambda name: name <> 'Correlation' or len(own_channels.channels) > 1
                )
            )
        end as channels
    from own_channels
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
    well.extra
from well_channels
inner join plate_channels using (plate)
inner join plate on plate.plate_id = well_channels.plate
left join well on well_channels.plate = well.plate and well_channels.well = well.well
