-- What the normalization of each plate subtracted and divided by.
-- Grain: one row per model, normalization, level, dataset, plate.   Reads: profiles/*.parquet.
select *
from read_parquet(getvariable('statistic_files'))
