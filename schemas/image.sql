-- One row per plate, well, field and channel: one plane. Intensities are in camera counts; they are
-- NULL for images that are damaged or absent.
create table if not exists image (
    plate varchar not null,
    well varchar not null,
    field integer not null,
    channel_index integer not null,
    channel varchar not null,
    dtype varchar check (dtype in ('uint8', 'uint16')),
    p0_1 double,
    p99_9 double,
    mean double,
    saturation double check (saturation between 0 and 1),
    focus double check (focus >= 0),
    qc varchar not null check (qc in ('ok', 'blank', 'saturated', 'damaged', 'absent')),
    problem varchar,
    origin varchar not null,
    origin_hash varchar,
    num_slices integer not null check (num_slices > 0)
);
comment on table image is 'One row per plane: plate, well, field, channel.';
comment on column image.p0_1 is '0.1st percentile of the plane, counts.';
comment on column image.p99_9 is '99.9th percentile of the plane, counts.';
comment on column image.mean is 'Mean of the plane, counts.';
comment on column image.saturation is 'Share of pixels at the maximum of the type.';
comment on column image.focus is 'Variance of the Laplacian over variance of the plane, unitless; higher is sharper.';
comment on column image.qc is 'ok, blank (equal percentiles), saturated (over 1 %), damaged (see problem), absent.';
comment on column image.problem is 'Why the image is damaged.';
comment on column image.num_slices is 'Number of slices whose maximum the plane is.';
comment on column image.origin is 'File that the plane was read from; for a stack, the file of the first slice.';
comment on column image.origin_hash is 'SHA-256 of that file; for a stack, SHA-256 of the hashes of its slices.';
