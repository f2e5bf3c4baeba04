-- Wells of BBBC021 that the paper scores: those with a mechanism. Taxol is the positive control of
-- every plate and is left out, except in wells D03 to D05 of the first week, where it is a treatment.
-- Grain: one row per raw profile that counts.   Reads: raw_profile.
-- Source: Morelli et al. 2025, section 2.3.2, and its program. 302 wells remain.
select *
from raw_profile
where
    moa is not null
    and (
        compound <> 'taxol'
        or (starts_with(plate, 'Week1_') and well in ('D03', 'D04', 'D05'))
    )
