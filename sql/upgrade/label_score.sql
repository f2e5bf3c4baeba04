-- The rows of label_score from a catalog without the column question. The question is rebuilt from the
-- recorded arguments of the command, in the form of unidino.lake.answers.question_text: JSON with
-- sorted keys, without standard values.
-- Grain: one row per row of the old table.   Reads: old_label_score, run.
with told as (
    select
        old_label_score.*,
        run.arguments as told
    from old_label_score
    left join run using (run_id)
),

asked as (
    select
        told.* exclude (told),
        '{' || array_to_string(list_sort(list_filter([
            '"kind":' || to_json(measure)::varchar,
            '"rule":' || to_json(metric)::varchar,
            '"reading":' || to_json(rules)::varchar,
            '"label":' || to_json(label)::varchar,
            '"level":' || to_json(level)::varchar,
            '"normalize":' || to_json(normalization)::varchar,
            '"where":' || to_json(told ->> 'where')::varchar,
            case when json_array_length(told -> 'channels') > 0 then '"channels":' || (told -> 'channels')::varchar end,
            case when (told ->> 'seed')::integer <> 0 then '"seed":' || (told ->> 'seed') end
        ], lambda item: item is not null)), ',') || '}' as question
    from told
)

select
    *,
    sha256(question) as question_hash
from asked
