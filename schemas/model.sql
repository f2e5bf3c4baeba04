-- One row per model.
create table if not exists model (
    model varchar primary key,
    kind varchar not null
    check (kind in ('vit', 'timm', 'microsnoop', 'codebook', 'cellprofiler', 'gaussian', 'cell_count', 'imported')),
    architecture varchar,
    num_dims integer not null check (num_dims > 0),
    channels varchar[],
    preprocessing json not null,
    weights_hash varchar not null,
    licence varchar,
    parent varchar,
    samples varchar,
    created timestamp not null,
    run_id varchar not null
);
comment on table model is 'One row per model.';
comment on column model.num_dims is 'Length of the embedding of one channel.';
comment on column model.channels is
'Names of the vectors of a field; * stands for its channels; NULL means one vector per channel.';
comment on column model.preprocessing is 'Crop size in px, intensity scaling and seed.';
comment on column model.weights_hash is 'SHA-256 of the weights, or of the configuration of a model without weights.';
comment on column model.samples is 'SQL query of the training samples.';
