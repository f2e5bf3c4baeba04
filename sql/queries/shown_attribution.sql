-- The attributions to show: the newest of a standard question, or of another question if none is
-- standard. Channels are in the order of the plates.
-- Grain: one row per dataset, model, normalization, level, label, class, channel.
-- Reads: attribution, latest, channel, plate.
with place as (
    select
        plate.dataset,
        channel.channel,
        min(channel.channel_index) as place
    from channel
    inner join plate on channel.plate = plate.plate_id
    group by plate.dataset, channel.channel
)

select
    attribution.* exclude (question, question_hash, run_id),
    latest.special
from attribution
inner join latest using (question_hash, dataset, model, run_id)
left join place using (dataset, channel)
qualify
    dense_rank() over (
        partition by
            attribution.dataset,
            attribution.model,
            attribution.normalization,
            attribution.level,
            attribution.label
        order by latest.is_standard desc, latest.number desc
    ) = 1
order by
    attribution.dataset,
    attribution.model,
    attribution.label,
    attribution.class,
    place.place,
    attribution.channel
