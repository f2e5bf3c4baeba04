-- One row per label of a score of labels.
create table if not exists label_score (
    model varchar not null,
    normalization varchar not null,
    dataset varchar not null,
    channels varchar[] not null,
    measure varchar not null check (measure in ('map', 'replicates', 'activity', 'enrichment')),
    metric varchar not null,
    rules varchar not null,
    label varchar not null,
    level varchar not null,
    class varchar not null,
    num_profiles integer not null,
    mean_average_precision double,
    p_value double,
    q_value double,
    correlation double,
    threshold double,
    odds_ratio double,
    is_above_chance boolean not null,
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table label_score is 'One row per label of a score of labels.';
comment on column label_score.measure is
'map (mean average precision), replicates (correlation), activity (against controls) or enrichment.';
comment on column label_score.metric is 'Name of the exclusion rule.';
comment on column label_score.rules is 'Reading of the rule: text or published.';
comment on column label_score.class is 'Value of the label: one compound, one mechanism.';
comment on column label_score.p_value is
'Share of random rankings that do as well; of enrichment: Fisher''s exact test.';
comment on column label_score.q_value is 'p_value after Benjamini and Hochberg.';
comment on column label_score.correlation is 'Median Pearson correlation of the pairs of this label.';
comment on column label_score.threshold is '95th percentile of correlation for random groups of different labels.';
comment on column label_score.odds_ratio is 'Odds of the label in the top of the rankings, over those below.';
comment on column label_score.is_above_chance is 'Whether q_value is under 0.05, or correlation above the threshold.';
comment on column label_score.question is 'The question as canonical JSON; standard values are left out.';
comment on column label_score.question_hash is 'SHA-256 of question.';
