-- One row per readout, stratum and model of a readouts command.
create table if not exists readout_score (
    model varchar not null,
    normalization varchar not null,
    dataset varchar not null,
    level varchar not null,
    stratum varchar not null,
    readout varchar not null,
    regressor varchar not null check (regressor in ('random_forest', 'elastic_net')),
    num_profiles integer not null check (num_profiles > 0),
    num_folds integer not null check (num_folds > 1),
    r2 double not null check (r2 between 0 and 1),
    r2_unclipped double not null check (r2_unclipped <= 1),
    seed integer not null,
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table readout_score is 'One row per readout, stratum and model of a readouts command.';
comment on column readout_score.level is 'Level of the profiles that are averaged to consensus profiles.';
comment on column readout_score.stratum is
'Value of the column whose values are fitted separately, such as the cell line; empty for none.';
comment on column readout_score.num_profiles is 'Number of consensus profiles that have the readout.';
comment on column readout_score.r2 is 'Mean of R2 over the folds; a negative R2 counts as 0 (the paper).';
comment on column readout_score.r2_unclipped is 'Mean of R2 over the folds (the published program).';
comment on column readout_score.question is 'The question as canonical JSON; standard values are left out.';
comment on column readout_score.question_hash is 'SHA-256 of question.';
