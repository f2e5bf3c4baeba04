-- One row per plate, well, field and channel: one plane. Intensities are in camera counts.
create table if not exists image (
    plate varchar not null,
    well varchar not null,
    field integer not null,
    channel_index integer not null,
    channel varchar not null,
    dtype varchar not null check (dtype in ('uint8', 'uint16')),
    p0_1 double not null,
    p99_9 double not null,
    mean double not null,
    saturation double not null check (saturation between 0 and 1),
    focus double not null check (focus >= 0),
    qc varchar not null check (qc in ('ok', 'blank', 'saturated')),
    origin varchar not null,
    origin_hash varchar not null
);
comment on table image is 'One row per plane: plate, well, field, channel.';
comment on column image.p0_1 is '0.1st percentile of the plane, counts.';
comment on column image.p99_9 is '99.9th percentile of the plane, counts.';
comment on column image.mean is 'Mean of the plane, counts.';
comment on column image.saturation is 'Share of pixels at the maximum of the type.';
comment on column image.focus is 'Variance of the Laplacian over variance of the plane, unitless; higher is sharper.';
comment on column image.qc is 'ok; blank: both percentiles are equal; saturated: over 1 % of pixels at the maximum.';
comment on column image.origin is 'File that the plane was read from.';
comment on column image.origin_hash is 'BLAKE2b of that file.';
