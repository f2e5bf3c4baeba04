-- One row per model, dataset, normalization and kind of wells whose batches were compared.
create table if not exists batch_mixing (
    model varchar not null,
    normalization varchar not null,
    dataset varchar not null,
    channels varchar[] not null,
    level varchar not null,
    unit varchar not null check (unit in ('plate', 'batch', 'source')),
    label varchar not null,
    wells varchar not null check (wells in ('trt', 'negcon')),
    mixing double not null check (mixing >= 0),
    interval_low double,
    interval_high double,
    silhouette_label double check (silhouette_label between -1 and 1),
    silhouette_batch double check (silhouette_batch between -1 and 1),
    num_profiles integer not null check (num_profiles > 0),
    num_batches integer not null check (num_batches > 1),
    num_labels integer not null check (num_labels > 0),
    trend double check (trend between -1 and 1),
    trend_p_value double check (trend_p_value between 0 and 1),
    dropped json not null,
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table batch_mixing is
'One row per model, dataset, normalization and kind of wells whose batches were compared.';
comment on column batch_mixing.unit is 'What a batch is: plate, batch, or source (laboratory).';
comment on column batch_mixing.label is 'What profiles of different batches have in common.';
comment on column batch_mixing.wells is 'trt: all wells but negative controls; negcon: these.';
comment on column batch_mixing.mixing is
'Effective number of batches among neighbours (LISI): 1 as if batches were shuffled within labels, 0 for one batch.';
comment on column batch_mixing.interval_low is 'Lower end of the 95 % interval of mixing, by bootstrap over labels.';
comment on column batch_mixing.interval_high is 'Upper end of that interval.';
comment on column batch_mixing.silhouette_label is 'Mean silhouette of the labels by cosine; NULL for one label.';
comment on column batch_mixing.silhouette_batch is 'Mean silhouette of the batches by cosine.';
comment on column batch_mixing.num_profiles is 'Number of profiles of labels that two batches or more have.';
comment on column batch_mixing.trend is
'Spearman correlation of the distance of the controls of two plates with the places that these are apart.';
comment on column batch_mixing.trend_p_value is 'Share of orders of the plates with such a trend or a larger one.';
comment on column batch_mixing.dropped is 'What was left out: reason and count, as JSON.';
comment on column batch_mixing.question is 'The question as canonical JSON; standard values are left out.';
comment on column batch_mixing.question_hash is 'SHA-256 of question.';
