-- Images of treated wells with a known mechanism: what a probe judges a network by.
-- Grain: one row per plate, well, field, channel.   Reads: training_sample.
select
    *,
    moa as label
from training_sample
where moa is not null and control_type = 'trt'
