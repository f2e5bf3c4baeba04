-- All given profiles: whether each is compared, whether it is scored, and the reason if it is not.
-- Grain: one row per profile.   Reads: profile, excluded, unmatched_label.
-- $as_decoys: profiles with labels that are left out remain possible neighbours of others.
with unmatched as (
    select
        label,
        min(reason) as reason
    from unmatched_label
    group by label
)

select
    profile.position,
    profile.profile_id,
    profile.label,
    profile.compound,
    excluded.reason is null and (unmatched.label is null or $as_decoys) as is_compared,
    excluded.reason is null and unmatched.label is null as is_scored,
    coalesce(excluded.reason, 'label_in_one_' || unmatched.reason) as reason
from profile
left join excluded on profile.profile_id = excluded.profile_id
left join unmatched on profile.label = unmatched.label
order by profile.profile_id
