-- One row per registered file. Files inside plates are listed in the record of their plate.
create table if not exists file (
    uri varchar primary key,
    kind varchar not null check (kind in ('part', 'model', 'illumination', 'record')),
    plate varchar,
    model varchar,
    num_bytes bigint not null check (num_bytes >= 0),
    modified_ns bigint not null,
    sha256 varchar not null
);
comment on table file is 'One row per registered file. Files inside plates are listed in the record of their plate.';
comment on column file.uri is 'Relative to the lake.';
comment on column file.kind is
'part (of vectors), model (of a model''s folder), illumination (function), record (rows and files of a plate).';
comment on column file.num_bytes is 'Size when it was registered.';
comment on column file.modified_ns is 'Time of change when it was registered, ns since 1970.';
comment on column file.sha256 is 'SHA-256 of its bytes.';
