-- Wells of BBBC021 that the paper scores: taxol, which stands on every plate as a control, counts
-- only where it is a treatment (wells D03 to D05 of the first week).
-- Grain: one row per raw profile that counts.   Reads: raw_profile.
-- Source: Morelli et al. 2025, section 2.3.2, and its program. It leaves 302 labelled wells.
select *
from raw_profile
where
    compound is distinct from 'taxol'
    or (starts_with(plate, 'Week1_') and well in ('D03', 'D04', 'D05'))
