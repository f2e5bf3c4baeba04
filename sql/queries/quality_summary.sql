-- The quality of each plate in a row, as each model sees it; figures of images and cells are repeated.
-- Of several positive controls the one with the largest Z' counts.
-- Grain: one row per plate, model.   Reads: latest_quality.
with of_plate as (
    select * from latest_quality
    where well is null
),

figures as (
    select
        dataset,
        plate,
        coalesce(
            max(n) filter (where measure = 'z_prime' and model is null),
            max(n) filter (where measure = 'z_prime')
        ) as negative,
        max(num_positive) filter (where measure = 'z_prime') as positive,
        max(value) filter (where measure = 'z_prime' and subject = 'num_cells') as z_prime_cells,
        sum(value) filter (where measure = 'few_cells')::integer as few_cells,
        sum(value) filter (where measure = 'blurred')::integer as blurred,
        sum(value) filter (where measure in ('dim', 'bright'))::integer as odd_intensity
    from of_plate
    group by dataset, plate
),

profiled as (
    select
        dataset,
        plate,
        model,
        arg_max(axis, value) filter (where measure = 'z_prime' and channel is null) as axis,
        max(value) filter (where measure = 'z_prime' and channel is null) as z_prime,
        max(value) filter (where measure = 'robust_z_prime' and channel is null) as robust_z_prime,
        max(value) filter (where measure = 'ssmd' and channel is null) as ssmd,
        max(value) filter (where measure = 'replicate_correlation') as replicate_correlation,
        max(value) filter (where measure = 'percent_replicating') as replicating,
        sum(value) filter (where measure = 'outlier_wells')::integer as outlier_wells,
        min(q_value) filter (where measure = 'row_effect') as row_q,
        min(q_value) filter (where measure = 'column_effect') as column_q,
        min(q_value) filter (where measure = 'edge_effect') as edge_q,
        string_agg(distinct reason, '; ' order by reason) as notes
    from of_plate
    where model is not null
    group by dataset, plate, model
)

select
    figures.dataset,
    figures.plate,
    profiled.model,
    figures.negative,
    figures.positive,
    profiled.* exclude (dataset, plate, model, notes),
    figures.* exclude (dataset, plate, negative, positive),
    profiled.notes
from figures
left join profiled using (dataset, plate)
order by figures.dataset, figures.plate, profiled.model
