-- Embeddings of single crops, where `unidino embed --keep crop` kept them.
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
from read_parquet(getvariable('crop_embedding_files'))
