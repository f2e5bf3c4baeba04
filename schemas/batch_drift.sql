-- One row per plate whose negative controls were compared with those of the other plates.
create table if not exists batch_drift (
    model varchar not null,
    normalization varchar not null,
    dataset varchar not null,
    channels varchar[] not null,
    level varchar not null,
    number integer not null check (number > 0),
    plate varchar not null,
    batch varchar,
    num_controls integer not null check (num_controls > 1),
    shift double check (shift >= 0),
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table batch_drift is
'One row per plate whose negative controls were compared with those of the other plates.';
comment on column batch_drift.number is 'Place of the plate in the order of batch and name, from 1.';
comment on column batch_drift.num_controls is 'Number of negative controls of the plate.';
comment on column batch_drift.shift is
'Distance of the mean control from that of the other plates, over the one by chance: 1 for no shift.';
comment on column batch_drift.question is 'The question as canonical JSON; standard values are left out.';
comment on column batch_drift.question_hash is 'SHA-256 of question.';
