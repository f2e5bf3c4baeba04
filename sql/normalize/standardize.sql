-- Mean and standard deviation of every feature over the control wells of each plate.
-- Grain: one row per plate.   Reads: raw_profile.   $controls: control_type of the controls.
select
    plate,
    any_value(channels) as channels,
    mean_vector(embedding) as center,
    stddev_vector(embedding) as spread
from raw_profile
where is_complete and control_type = $controls
group by plate
