-- One row per score that was computed.
create table if not exists score (
    model varchar not null,
    normalization varchar not null,
    dataset varchar not null,
    channels varchar[] not null,
    metric varchar not null,
    rules varchar not null,
    label varchar not null,
    level varchar not null,
    accuracy double check (accuracy between 0 and 1),
    interval_low double,
    interval_high double,
    n integer not null,
    num_classes integer not null,
    num_without_neighbour integer not null,
    ceiling double,
    chance double,
    dropped json not null,
    versus varchar,
    versus_normalization varchar,
    versus_n integer,
    difference double,
    difference_low double,
    difference_high double,
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table score is 'One row per score that was computed.';
comment on column score.metric is 'Name of the exclusion rule.';
comment on column score.rules is 'Reading of the rule: text or published.';
comment on column score.accuracy is 'Share of scored profiles whose nearest eligible neighbour has their label.';
comment on column score.interval_low is 'Lower end of the 95 % interval, bootstrap over compounds.';
comment on column score.interval_high is 'Upper end of that interval.';
comment on column score.n is 'Number of scored profiles.';
comment on column score.num_without_neighbour is 'Profiles that the rule leaves without a neighbour.';
comment on column score.dropped is 'Profiles and features that were left out: reason and count.';
comment on column score.ceiling is 'Share of scored profiles with an eligible neighbour of the same label.';
comment on column score.chance is 'Expected accuracy of a random eligible neighbour.';
comment on column score.versus is 'Model that the score is compared with, on the profiles that both scored.';
comment on column score.versus_normalization is 'Normalization of the profiles of that model.';
comment on column score.versus_n is 'Number of profiles that both scored.';
comment on column score.difference is
'Accuracy minus that of the other model. Low and high: 95 % interval, paired bootstrap over compounds.';
comment on column score.question is 'The question as canonical JSON; standard values are left out.';
comment on column score.question_hash is 'SHA-256 of question.';
