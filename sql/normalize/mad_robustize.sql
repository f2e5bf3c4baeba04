-- Median and scaled median absolute deviation of every feature over all wells of each plate.
-- 1.4826 makes the spread of a normal distribution its standard deviation.
-- Grain: one row per plate.   Reads: raw_profile.   $controls: not used here.
-- Source: Morelli et al. 2025, section 2.2.2.
select
    plate,
    any_value(channels) as channels,
    median_vector(embedding) as center,
    list_transform(mad_vector(embedding), lambda x: 1.4826 * x) as spread
from raw_profile
where is_complete and $controls is not null
group by plate
