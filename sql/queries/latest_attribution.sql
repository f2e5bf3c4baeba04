-- The shares of the last attribution of each kind, channels in the order of the plates.
-- Grain: one row per dataset, model, normalization, level, label, class, channel.
-- Reads: attribution, run, channel, plate.
with latest as (
    select attribution.* exclude (run_id)
    from attribution
    inner join run using (run_id)
    qualify
        dense_rank() over (
            partition by
                attribution.dataset,
                attribution.model,
                attribution.normalization,
                attribution.level,
                attribution.label
            order by run.started desc, run.run_id asc
        ) = 1
),

place as (
    select
        plate.dataset,
        channel.channel,
        min(channel.channel_index) as place
    from channel
    inner join plate on channel.plate = plate.plate_id
    group by plate.dataset, channel.channel
)

select latest.*
from latest
left join place using (dataset, channel)
order by latest.dataset, latest.model, latest.label, latest.class, place.place, latest.channel
