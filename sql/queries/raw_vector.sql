-- The vectors of one file, in the order in which they are averaged over fields and concatenated.
-- Grain: one row per row_id, channel, field.   Reads: raw_profile, a file of embeddings.
-- $file: path of the file; $channels: names to keep, or an empty list for all.
select
    raw_profile.row_id,
    vector.channel_index,
    vector.num_crops,
    vector.embedding
from read_parquet($file, hive_partitioning = false) as vector
inner join raw_profile
    on
        vector.plate = raw_profile.plate
        and vector.well = raw_profile.well
        and (raw_profile.field is null or vector.field = raw_profile.field)
where len($channels) = 0 or list_contains($channels, vector.channel)
order by raw_profile.row_id, vector.channel_index, vector.field
