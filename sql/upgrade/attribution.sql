-- The rows of attribution from a catalog without the column question. The question is rebuilt from the
-- recorded arguments of the command, in the form of unidino.lake.answers.question_text: JSON with
-- sorted keys, without standard values.
-- Grain: one row per row of the old table.   Reads: old_attribution, run.
with told as (
    select
        old_attribution.*,
        run.arguments as told
    from old_attribution
    left join run using (run_id)
),

asked as (
    select
        told.* exclude (told),
        '{' || array_to_string(list_sort(list_filter([
            '"kind":"attribution"',
            '"label":' || to_json(label)::varchar,
            '"level":' || to_json(level)::varchar,
            '"normalize":' || to_json(normalization)::varchar,
            '"where":' || to_json(told ->> 'where')::varchar,
            case when top <> 50 then '"top":' || top::varchar end,
            case when num_seeds <> 5 then '"num_seeds":' || num_seeds::varchar end,
            case when (told ->> 'seed')::integer <> 0 then '"seed":' || (told ->> 'seed') end,
            case when (told ->> 'include_controls')::boolean then '"include_controls":true' end
        ], lambda item: item is not null)), ',') || '}' as question
    from told
)

select
    *,
    sha256(question) as question_hash
from asked
