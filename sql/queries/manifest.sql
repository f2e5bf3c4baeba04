-- The manifest: every image with its metadata, in one shape whatever the layout.
-- Grain: one row per image.   Reads: typed (the layout's rows in the manifest's columns).
-- $dataset: default collection; $root: folder of relative paths; $channel_names: by channel index.
with named as (
    select
        * replace (
            case when path[1] = '/' then path else $root || '/' || path end as path,
            coalesce(dataset, $dataset) as dataset,
            upper(regexp_extract(trim(well), '^[A-Za-z]{1,2}'))
            || lpad(regexp_extract(trim(well), '[0-9]+$'), 2, '0') as well,
            dense_rank() over (
                partition by plate order by channel_index nulls last, channel
            ) - 1 as channel_index,
            case
                when lower(control_type) in ('trt', 'negcon', 'empty') then lower(control_type)
                when starts_with(lower(control_type), 'poscon') then 'poscon'
                when control_type is not null then control_type
                when compound is not null then 'trt'
            end as control_type
        ),
        channel_index as given_index
    from typed
)

select
    * exclude (given_index)
    replace (
        coalesce(
            ($channel_names::varchar[])[channel_index + 1], channel, 'ch' || given_index
        ) as channel,
        channel_index::integer as channel_index
    ),
    row_of(well) as well_row,
    column_of(well) as well_column
from named
