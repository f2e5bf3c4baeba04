-- One row per class and channel of an attribute command.
create table if not exists attribution (
    model varchar not null,
    normalization varchar not null,
    dataset varchar not null,
    level varchar not null,
    label varchar not null,
    class varchar not null,
    channel varchar not null,
    num_profiles integer not null check (num_profiles > 0),
    share double not null check (share between 0 and 1),
    share_low double check (share_low between 0 and 1),
    share_high double check (share_high between 0 and 1),
    expected double not null check (expected between 0 and 1),
    num_seeds integer not null check (num_seeds > 0),
    top integer not null check (top > 0),
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table attribution is 'One row per class and channel of an attribute command.';
comment on column attribution.class is 'Value of the label; its profiles are distinguished from all others.';
comment on column attribution.num_profiles is 'Profiles of the class.';
comment on column attribution.share is 'Share of the most important features that are of the channel; mean over seeds.';
comment on column attribution.share_low is 'Lower end of the 95 % interval of that mean over seeds; NULL for one seed.';
comment on column attribution.share_high is 'Upper end of that interval.';
comment on column attribution.expected is 'Share by chance: share of all features that are of the channel.';
comment on column attribution.num_seeds is 'Forests per class.';
comment on column attribution.top is 'Number of most important features that are counted.';
comment on column attribution.question is 'The question as canonical JSON; standard values are left out.';
comment on column attribution.question_hash is 'SHA-256 of question.';
