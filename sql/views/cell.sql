-- Single cells, which `unidino import-profiles --objects --keep-cells` keeps: their features under
-- their own names. A feature that a model lacks is NULL in its rows.
-- Grain: one row per model, plate, well, field, cell.   Reads: cells/*.parquet.
select *
from
    read_parquet(
        getvariable('cell_files'), hive_partitioning = false, union_by_name = true
    )
