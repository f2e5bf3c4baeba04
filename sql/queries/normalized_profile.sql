-- Profiles with the centre of their plate subtracted and its spread divided out.
-- A feature without spread on a plate says nothing there and becomes 0; with $epsilon, as in
-- pycytominer, it is divided by epsilon instead.   Where no statistics are given nothing is done.
-- Grain: one row per plate, well (and field).   Reads: raw_profile, applied (statistics).   $epsilon: or NULL.
select
    raw_profile.* exclude (embedding, is_complete),
    case
        when applied.plate is null then raw_profile.embedding
        else list_transform(
            range(1, len(raw_profile.embedding) + 1),
            lambda i: case
                when $epsilon is not null
                    then (raw_profile.embedding[i] - center[i]) / (spread[i] + $epsilon)
                when spread[i] > 0 then (raw_profile.embedding[i] - center[i]) / spread[i]
                else 0.0
            end
        )
    end as embedding
from raw_profile
left join applied on raw_profile.plate = applied.plate
where raw_profile.is_complete
