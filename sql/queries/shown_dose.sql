-- The dose responses to show: the newest of a standard question, or of another question if none is
-- standard. Channels are in the order of the plates, after all of them together.
-- Grain: one row per dataset, model, normalization, level, compound, channel.
-- Reads: dose, latest, channel, plate.
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
    dose.* exclude (question, question_hash, run_id),
    latest.special
from dose
inner join latest using (question_hash, dataset, model, run_id)
left join place using (dataset, channel)
qualify
    dense_rank() over (
        partition by dose.dataset, dose.model, dose.normalization, dose.level
        order by latest.is_standard desc, latest.number desc
    ) = 1
order by
    dose.dataset,
    dose.model,
    dose.compound,
    dose.channel <> 'all',
    place.place,
    dose.channel
