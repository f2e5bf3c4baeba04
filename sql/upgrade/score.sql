-- The rows of score from a catalog without the column question. The question is rebuilt from the
-- recorded arguments of the command, in the form of unidino.lake.answers.question_text: JSON with
-- sorted keys, without standard values.
-- Grain: one row per row of the old table.   Reads: old_score, run.
with told as (
    select
        old_score.*,
        run.arguments as told
    from old_score
    left join run using (run_id)
),

asked as (
    select
        told.* exclude (told),
        '{' || array_to_string(list_sort(list_filter([
            '"kind":"accuracy"',
            '"rule":' || to_json(metric)::varchar,
            '"reading":' || to_json(rules)::varchar,
            '"label":' || to_json(label)::varchar,
            '"level":' || to_json(level)::varchar,
            '"normalize":' || to_json(normalization)::varchar,
            '"where":' || to_json(told ->> 'where')::varchar,
            -- Earlier versions also listed the channels when all were selected.
            case
                when
                    json_array_length(told -> 'channels') > 0
                    and len(channels) < max(len(channels)) over (partition by dataset, model)
                    then '"channels":' || (told -> 'channels')::varchar
            end,
            case
                when
                    told ->> 'label_filter' <> 'reachable'
                    then '"label_filter":' || to_json(told ->> 'label_filter')::varchar
            end,
            case when told ->> 'unmatched' <> 'drop' then '"unmatched":' || to_json(told ->> 'unmatched')::varchar end,
            case when (told ->> 'neighbours')::integer <> 1 then '"neighbours":' || (told ->> 'neighbours') end
        ], lambda item: item is not null)), ',') || '}' as question
    from told
)

select
    *,
    sha256(question) as question_hash
from asked
