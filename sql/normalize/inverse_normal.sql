-- Inverse normal transformation: every feature becomes the quantile of a normal distribution at the rank
-- of its value among all wells of the plate. Equal values share the mean of their ranks; a feature of one
-- value becomes 0. Rank r of n stands for the probability (r - 3/8) / (n + 1/4). Only the order of the
-- wells remains, so that no extreme value weighs more than its rank.
-- Grain: one row per raw profile.   Reads: raw_profile.
-- $per: plate, batch or dataset; $controls: all, or a control_type among whose wells all are ranked.
-- Source: Blom 1958, "Statistical estimates and transformed beta-variables"; Beasley et al. 2009,
-- doi 10.1007/s10519-009-9281-0.
select
    row_id,
    1 as step,
    'inverse_normal' as method,
    null::double as epsilon,
    unit_of(coalesce($per, 'plate'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'all'), control_type) as teaches
from raw_profile
