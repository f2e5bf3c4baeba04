-- Which treated wells lie farthest from the negative controls of their plate?
-- Grain: one row per model, normalization, plate, well.   Reads: profile.
with control as (
    select
        model,
        normalization,
        plate,
        mean_vector(embedding) as centre
    from profile
    where control_type = 'negcon' and level = 'well'
    group by model, normalization, plate
)

select
    profile.model,
    profile.normalization,
    profile.plate,
    profile.well,
    profile.compound,
    profile.moa,
    list_distance(profile.embedding, control.centre) as distance
from profile
inner join control using (model, normalization, plate)
where profile.level = 'well' and profile.control_type = 'trt'
order by distance desc
limit 100
