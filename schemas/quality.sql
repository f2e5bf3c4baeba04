-- One row per figure of assay quality: of a plate, or of a well or image that is flagged.
create table if not exists quality (
    dataset varchar not null,
    plate varchar not null,
    well varchar,
    field integer,
    model varchar,
    normalization varchar,
    subject varchar not null check (subject in ('profile', 'num_cells', 'intensity', 'focus')),
    channel varchar,
    axis varchar,
    measure varchar not null
    check (
        measure in (
            'z_prime', 'robust_z_prime', 'ssmd', 'robust_ssmd', 'replicate_correlation',
            'percent_replicating', 'row_effect', 'column_effect', 'edge_effect', 'outlier_wells',
            'few_cells', 'blurred', 'dim', 'bright'
        )
    ),
    value double,
    threshold double,
    p_value double check (p_value between 0 and 1),
    q_value double check (q_value between 0 and 1),
    n integer not null check (n >= 0),
    num_positive integer check (num_positive >= 0),
    is_flagged boolean not null,
    reason varchar,
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table quality is 'One row per figure of assay quality: of a plate, or of a well or image that is flagged.';
comment on column quality.well is 'NULL for a figure of the plate; else the well that is flagged.';
comment on column quality.field is 'Field of the image that is flagged.';
comment on column quality.model is 'Model of the profiles; NULL for figures of images and cell counts.';
comment on column quality.subject is
'What was measured: profile (of a model), num_cells, intensity (mean of images) or focus.';
comment on column quality.channel is 'Channel of the profile or image; NULL for all, and for num_cells.';
comment on column quality.axis is
'Positive control of a separation: the axis leads from the negative controls to it.';
comment on column quality.value is
'Of outlier_wells, few_cells, blurred, dim, bright: how many, or how far out; NULL if reason says why.';
comment on column quality.threshold is 'Limit of value, beyond which it is flagged.';
comment on column quality.p_value is 'Of the position effects: share of permutations with as large an effect.';
comment on column quality.q_value is 'p_value after Benjamini and Hochberg, over all position effects of the answer.';
comment on column quality.n is 'Wells or images that the value is of; of a separation, negative controls.';
comment on column quality.num_positive is 'Wells of the positive control of a separation.';
comment on column quality.reason is 'Why there is no value.';
comment on column quality.question is 'The question as canonical JSON; standard values are left out.';
comment on column quality.question_hash is 'SHA-256 of question.';
