-- The rows of readout_score from a catalog without the column question. The question is rebuilt from the
-- recorded arguments of the command, in the form of unidino.lake.answers.question_text: JSON with
-- sorted keys, without standard values.
-- Grain: one row per row of the old table.   Reads: old_readout_score, run.
with told as (
    select
        old_readout_score.*,
        run.arguments as told
    from old_readout_score
    left join run using (run_id)
),

asked as (
    select
        told.* exclude (told),
        '{' || array_to_string(list_sort(list_filter([
            '"kind":"readouts"',
            '"level":' || to_json(level)::varchar,
            '"normalize":' || to_json(normalization)::varchar,
            '"regressor":' || to_json(regressor)::varchar,
            '"table":' || to_json(parse_filename(told ->> 'table'))::varchar,
            '"pattern":' || to_json(told ->> 'pattern')::varchar,
            '"where":' || to_json(told ->> 'where')::varchar,
            case when num_folds <> 5 then '"num_folds":' || num_folds::varchar end,
            case when seed <> 0 then '"seed":' || seed::varchar end,
            case when json_array_length(told -> 'by') > 0 then '"by":' || (told -> 'by')::varchar end,
            case when told ->> 'stratum' is not null then '"stratum":' || to_json(told ->> 'stratum')::varchar end
        ], lambda item: item is not null)), ',') || '}' as question
    from told
)

select
    *,
    sha256(question) as question_hash
from asked
