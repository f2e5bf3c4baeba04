-- How far each positive control is from the negative controls of its plate, and how much of that is
-- noise. Z' = 1 - 3 (sd+ + sd-) / |mean+ - mean-|; strictly standardized mean difference SSMD =
-- (mean+ - mean-) / sqrt(var+ + var-); the robust forms take medians and 1.4826 median absolute
-- deviations. Standard deviations are of samples (n - 1).
-- Grain: one row per dataset, plate, model, subject, channel, axis.   Reads: control_value.
-- Sources: Zhang, Chung & Oldenburg 1999, doi 10.1177/108705719900400206 (Z'); Zhang 2007, doi
-- 10.1016/j.ygeno.2006.12.014 (SSMD).
with side as (
    select
        dataset,
        plate,
        model,
        normalization,
        subject,
        channel,
        axis,
        control_type,
        count(value) as num,
        avg(value) as centre,
        stddev_samp(value) as spread,
        median(value) as middle,
        1.4826 * mad(value) as robust_spread
    from control_value
    group by all
),

pair as (
    select
        dataset,
        plate,
        model,
        normalization,
        subject,
        channel,
        axis,
        coalesce(max(num) filter (where control_type = 'negcon'), 0) as num_negative,
        coalesce(max(num) filter (where control_type = 'poscon'), 0) as num_positive,
        any_value(centre) filter (where control_type = 'negcon') as negative,
        any_value(centre) filter (where control_type = 'poscon') as positive,
        any_value(spread) filter (where control_type = 'negcon') as negative_spread,
        any_value(spread) filter (where control_type = 'poscon') as positive_spread,
        any_value(middle) filter (where control_type = 'negcon') as negative_middle,
        any_value(middle) filter (where control_type = 'poscon') as positive_middle,
        any_value(robust_spread) filter (where control_type = 'negcon') as negative_robust,
        any_value(robust_spread) filter (where control_type = 'poscon') as positive_robust
    from side
    group by all
)

select
    dataset,
    plate,
    model,
    normalization,
    subject,
    channel,
    axis,
    num_negative,
    num_positive,
    1 - 3 * (positive_spread + negative_spread)
    / nullif(abs(positive - negative), 0) as z_prime,
    1 - 3 * (positive_robust + negative_robust)
    / nullif(abs(positive_middle - negative_middle), 0) as robust_z_prime,
    (positive - negative)
    / nullif(sqrt(positive_spread ** 2 + negative_spread ** 2), 0) as ssmd,
    (positive_middle - negative_middle)
    / nullif(sqrt(positive_robust ** 2 + negative_robust ** 2), 0) as robust_ssmd,
    case
        when num_negative = 0 and num_positive = 0 then 'no controls on the plate'
        when num_negative = 0 then 'no negative control on the plate'
        when num_positive = 0 then 'no positive control on the plate'
        when num_negative < 2 then 'one negative control: a spread needs two'
        when num_positive < 2 then 'one well of the positive control: a spread needs two'
    end as reason
from pair
order by dataset, plate, model nulls first, subject, channel nulls first, axis
