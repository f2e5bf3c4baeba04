-- Profiles: aggregated and normalized vectors, from the files that the table part lists.
-- Grain: one row per model, normalization, level, dataset, profile_id.   Reads: profiles/*.parquet.
select * replace (embedding::float[] as embedding)
from read_parquet(getvariable('profile_files'), hive_partitioning = false)
