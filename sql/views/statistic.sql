-- What each step of a normalization learnt: what was subtracted, divided by and multiplied with.
-- Grain: one row per model, normalization, level, dataset, step, unit.   Reads: profiles/*.parquet.
select *
from read_parquet(getvariable('statistic_files'))
