-- One row per plate. A plate is here only if its images are whole on disk, or if it was registered
-- without them.
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
comment on column plate.uri is 'OME-Zarr plate, relative to the lake unless it stays elsewhere; NULL if not here.';
comment on column plate.fingerprint is 'Hash of the manifest rows with sizes and times of the input files.';
comment on column plate.content_hash is 'Hash of the manifest rows with hashes of the input files.';
