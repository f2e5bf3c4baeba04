-- Profiles as points in two dimensions, from the files that the table part lists.
-- Grain: one row per model, normalization, level, dataset, method, seed, condition, profile_id.
-- Reads: profiles/*.parquet.
select *
from read_parquet(getvariable('projection_files'), hive_partitioning = false)
