-- One row per database of known pairs that profiles were scored by.
create table if not exists pair_score (
    model varchar not null,
    normalization varchar not null,
    dataset varchar not null,
    channels varchar[] not null,
    database varchar not null,
    label varchar not null,
    level varchar not null,
    tail_percent double not null check (tail_percent > 0 and tail_percent <= 50),
    recall double not null check (recall between 0 and 1),
    interval_low double check (interval_low between 0 and 1),
    interval_high double check (interval_high between 0 and 1),
    recall_similar double not null check (recall_similar between 0 and 1),
    recall_opposite double not null check (recall_opposite between 0 and 1),
    chance double not null check (chance between 0 and 1),
    num_pairs integer not null check (num_pairs > 0),
    num_entities integer not null check (num_entities > 1),
    num_map_entities integer not null check (num_map_entities > 1),
    num_null bigint not null check (num_null > 0),
    num_unmatched integer not null,
    dropped json not null,
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table pair_score is 'One row per database of known pairs that profiles were scored by.';
comment on column pair_score.database is 'Name of the file of pairs, without its ending.';
comment on column pair_score.label is 'Column of a profile whose values are the entities.';
comment on column pair_score.tail_percent is 'Percent of all pairs that count as most similar, and as most opposite.';
comment on column pair_score.recall is 'Share of the known pairs that are most similar or most opposite.';
comment on column pair_score.interval_low is 'Lower end of the 95 % interval of recall, by bootstrap over entities.';
comment on column pair_score.interval_high is 'Upper end of that interval.';
comment on column pair_score.recall_similar is 'Share of the known pairs that are among the most similar ones.';
comment on column pair_score.recall_opposite is 'Share of the known pairs that are among the most opposite ones.';
comment on column pair_score.chance is 'Recall of random pairs: twice tail_percent, as a share.';
comment on column pair_score.num_pairs is 'Number of known pairs whose two entities have profiles.';
comment on column pair_score.num_entities is 'Number of entities in these pairs.';
comment on column pair_score.num_map_entities is 'Number of entities that have profiles.';
comment on column pair_score.num_null is 'Number of pairs of different entities that the known pairs are ranked among.';
comment on column pair_score.num_unmatched is 'Number of known pairs with an entity that has no profile.';
comment on column pair_score.dropped is 'What was left out: reason and count, as JSON.';
comment on column pair_score.question is 'The question as canonical JSON; standard values are left out.';
comment on column pair_score.question_hash is 'SHA-256 of question.';
