-- One row per command that wrote to the lake.
create table if not exists run (
    run_id varchar primary key,
    command varchar not null,
    arguments json not null,
    versions json not null,
    account json,
    started timestamp not null,
    ended timestamp,
    number bigint not null
);
comment on table run is 'One row per command that wrote to the lake: the lineage of its rows.';
comment on column run.arguments is 'Arguments of the call, as JSON.';
comment on column run.versions is 'Versions of Python and of the main packages.';
comment on column run.account is 'What the command understood of its input: texts for people, by topic.';
comment on column run.started is 'Start, UTC.';
comment on column run.ended is 'Time of the last landed result, UTC.';
comment on column run.number is 'Order in which runs last landed results, whatever the clock said.';
