-- Embeddings of single crops, which `unidino embed --keep crop` writes.
-- Grain: one row per model, plate, well, field, channel, top_px, left_px.   Reads: crops/*.parquet.
select
    model,
    plate,
    well,
    field,
    channel_index,
    channel,
    top_px,
    left_px,
    embedding
from read_parquet(getvariable('crop_embedding_files'), hive_partitioning = false)
