-- Statistics that each step of a normalization learnt: centre, spread and matrix.
-- Grain: one row per model, normalization, level, dataset, step, unit.   Reads: profiles/*.parquet.
select *
from read_parquet(getvariable('statistic_files'), hive_partitioning = false)
