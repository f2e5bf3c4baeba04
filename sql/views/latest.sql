-- The newest answer to each question in the tables score, label_score, attribution, readout_score,
-- pair_score, batch_mixing and dose.
-- Report, figures and explorer show these answers.
-- Grain: one row per question, dataset, model, channels.
-- Reads: score, label_score, attribution, readout_score, pair_score, batch_mixing, dose, run.
-- special: fields of the question that are not standard, as text. is_standard: there is no such field,
-- so the question asks for all profiles of a level; for readouts, any table and any pattern of names is
-- standard. is_of_channels: there is no such field except the channels.
with answer as (
    select distinct
        question,
        question_hash,
        dataset,
        model,
        channels,
        run_id
    from score
    union all by name
    select distinct
        question,
        question_hash,
        dataset,
        model,
        channels,
        run_id
    from label_score
    union all by name
    select distinct
        question,
        question_hash,
        dataset,
        model,
        run_id
    from attribution
    union all by name
    select distinct
        question,
        question_hash,
        dataset,
        model,
        run_id
    from readout_score
    union all by name
    select distinct
        question,
        question_hash,
        dataset,
        model,
        channels,
        run_id
    from pair_score
    union all by name
    select distinct
        question,
        question_hash,
        dataset,
        model,
        channels,
        run_id
    from batch_mixing
    union all by name
    select distinct
        question,
        question_hash,
        dataset,
        model,
        run_id
    from dose
),

described as (
    select
        answer.* exclude (channels),
        coalesce(answer.channels, []) as channels,
        run.number,
        list_filter(
            json_keys(answer.question),
            lambda name:
            name not in (
                'kind', 'rule', 'reading', 'label', 'level', 'normalize', 'regressor', 'table', 'pattern',
                'database', 'database_hash', 'by', 'wells'
            )
        ) as specials
    from answer
    inner join run using (run_id)
)

select
    question_hash,
    dataset,
    model,
    channels,
    run_id,
    number,
    array_to_string(
        list_transform(specials, lambda name: name || '=' || (question ->> name)), ', '
    ) as special,
    len(specials) = 0 as is_standard,
    specials <@ ['channels'] as is_of_channels
from described
qualify
    row_number() over (
        partition by question_hash, dataset, model, channels
        order by number desc
    ) = 1
