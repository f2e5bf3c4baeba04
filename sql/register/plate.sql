-- The plates that land.
-- Grain: one row per plate.   Reads: manifest, landed.
-- num_rows, num_columns: as given, else those of the smallest format of 96, 384 and 1536 wells that
-- has the plate's last row and last column.
with extent as (
    select
        plate,
        min(dataset) as dataset,
        min(source) as source,
        min(batch) as batch,
        min(barcode) as barcode,
        min(num_rows) as num_rows,
        min(num_columns) as num_columns,
        max(well_row) as last_row,
        max(well_column) as last_column
    from manifest
    group by plate
),

format (num_rows, num_columns) as (
    values (8, 12), (16, 24), (32, 48)
)

select
    extent.plate as plate_id,
    any_value(extent.dataset) as dataset,
    any_value(extent.source) as source,
    any_value(extent.batch) as batch,
    any_value(extent.barcode) as barcode,
    coalesce(any_value(extent.num_rows), min(format.num_rows)) as num_rows,
    coalesce(any_value(extent.num_columns), min(format.num_columns)) as num_columns,
    any_value(landed.uri) as uri,
    any_value(landed.fingerprint) as fingerprint,
    any_value(landed.content_hash) as content_hash,
    any_value(landed.run_id) as run_id
from extent
inner join landed on extent.plate = landed.plate
inner join format
    on extent.last_row <= format.num_rows and extent.last_column <= format.num_columns
group by extent.plate
