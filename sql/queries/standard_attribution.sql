-- The shares of the newest standard attributions, channels in the order of the plates.
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

select attribution.* exclude (question, question_hash, run_id)
from attribution
inner join latest using (question_hash, dataset, model, run_id)
left join place using (dataset, channel)
where latest.is_standard
order by
    attribution.dataset,
    attribution.model,
    attribution.label,
    attribution.class,
    place.place,
    attribution.channel
