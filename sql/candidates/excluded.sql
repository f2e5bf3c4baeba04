-- Profiles that no rule can score, each with the first reason that applies.
-- Grain: one row per profile that is left out.   Reads: candidate.
-- $include_controls: negative controls are kept. $keep_unlabelled: profiles without a label are kept
-- as possible neighbours.
-- Source: Morelli et al. 2025, section 2.3.2.
with judged as (
    select
        profile_id,
        case
            when control_type = 'empty' then 'empty'
            when control_type = 'negcon' and not $include_controls then 'control'
            when label is null and not $keep_unlabelled then 'no_label'
            when not is_finite then 'nan_feature'
            when is_zero then 'zero_vector'
        end as reason
    from candidate
)

select *
from judged
where reason is not null
