-- One row per command that wrote; ended is NULL while it runs or if it was cut off.
create table if not exists run (
    run_id varchar primary key,
    command varchar not null,
    arguments json not null,
    versions json not null,
    started timestamp not null,
    ended timestamp
);
comment on table run is 'One row per command that wrote: the lineage of every row.';
