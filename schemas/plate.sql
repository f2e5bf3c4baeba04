-- One row per plate. A plate is registered only after all its images were written, or without images.
create table if not exists plate (
    plate_id varchar primary key,
    dataset varchar not null,
    source varchar,
    batch varchar,
    barcode varchar,
    num_rows integer not null check (num_rows between 1 and 32),
    num_columns integer not null check (num_columns between 1 and 48),
    uri varchar,
    fingerprint varchar not null,
    content_hash varchar not null,
    run_id varchar not null
);
comment on table plate is 'One row per plate.';
comment on column plate.plate_id is 'Name of the plate, unique in the lake.';
comment on column plate.dataset is 'Published or in-house collection.';
comment on column plate.source is 'Laboratory that imaged it.';
comment on column plate.batch is 'Experimental batch.';
comment on column plate.uri is
'OME-Zarr plate: path relative to the lake, or absolute if it was ingested in place; NULL without images.';
comment on column plate.fingerprint is 'Hash of the manifest rows, and of sizes and times of the input files.';
comment on column plate.content_hash is 'Hash of the manifest rows, and of the hashes of the input files.';
