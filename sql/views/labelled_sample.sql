-- Images of treated wells with a known mechanism, by which a probe scores a network in training.
-- Grain: one row per plate, well, field, channel.   Reads: training_sample.
select
    *,
    moa as label
from training_sample
where moa is not null and control_type = 'trt'
