-- One row per immutable file of vectors. Views read only the files that are listed here.
create table if not exists part (
    uri varchar primary key,
    kind varchar not null
    check (kind in ('embedding', 'crop_embedding', 'profile', 'statistic', 'projection', 'cell')),
    model varchar not null,
    dataset varchar,
    plate varchar,
    normalization varchar,
    level varchar,
    num_rows bigint not null check (num_rows >= 0),
    sha256 varchar not null,
    inputs_hash varchar not null,
    dropped json,
    details json,
    run_id varchar not null
);
comment on table part is 'One row per immutable file of vectors.';
comment on column part.uri is 'Relative to the lake.';
comment on column part.inputs_hash is 'Hash of everything the file was computed from.';
comment on column part.details is 'How it was computed: engine, precision, device, options.';
comment on column part.dropped is 'What was left out of the file: reason and count.';
