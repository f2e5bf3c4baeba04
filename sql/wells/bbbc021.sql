-- Wells of BBBC021 that the paper scores: those with a mechanism, taxol only where it is a treatment
-- (wells D03 to D05 of the first week) and not the control that stands on every plate.
-- Grain: one row per raw profile that counts.   Reads: raw_profile.
-- Source: Morelli et al. 2025, section 2.3.2, and its program. It leaves 302 wells.
select *
from raw_profile
where
    moa is not null
    and (
        compound <> 'taxol'
        or (starts_with(plate, 'Week1_') and well in ('D03', 'D04', 'D05'))
    )
