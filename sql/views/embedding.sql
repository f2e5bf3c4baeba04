-- Embeddings of images, from the files that the table part lists.
-- Grain: one row per model, plate, well, field, channel.   Reads: embeddings/*.parquet.
select
    model,
    plate,
    well,
    field,
    channel_index,
    channel,
    num_crops,
    embedding::float[] as embedding
from read_parquet(getvariable('embedding_files'), hive_partitioning = false)
