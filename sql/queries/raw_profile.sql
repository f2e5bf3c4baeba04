-- Embeddings of a dataset averaged to wells or fields, channels side by side in channel order.
-- Crops and fields are one mean, as published: a field counts by its number of crops.
-- Grain: one row per plate, well (and field at that level).
-- Reads: embedding, model, plate, channel, well.
-- $model, $dataset; $level: 'field' or any coarser level.   Source: Morelli et al. 2025, 2.2.2.
with channel_mean as (
    select
        embedding.plate,
        embedding.well,
        case when $level = 'field' then embedding.field end as field,
        embedding.channel_index,
        embedding.channel,
        weighted_mean_vector(embedding.embedding::double[], embedding.num_crops) as embedding
    from embedding
    inner join plate on plate.plate_id = embedding.plate
    where embedding.model = $model and plate.dataset = $dataset
    group by all
),

own_channels as (
    select
        plate,
        list(channel order by channel_index) as channels
    from channel
    group by plate
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

concatenated as (
    select
        plate,
        well,
        field,
        list(channel order by channel_index) as channels,
        flatten(list(embedding order by channel_index)) as embedding
    from channel_mean
    group by all
)

select
    concatenated.*,
    concatenated.channels = plate_channels.channels as is_complete,
    plate.dataset,
    plate.source,
    plate.batch,
    well.perturbation,
    well.compound,
    well.concentration_um,
    well.control_type,
    well.moa,
    well.target,
    well.cell_line
from concatenated
inner join plate_channels using (plate)
inner join plate on plate.plate_id = concatenated.plate
left join well on concatenated.plate = well.plate and concatenated.well = well.well
