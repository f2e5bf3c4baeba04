-- Typical variation normalization of the published program: PCA whitening, learnt from the controls
-- of the whole dataset; then the controls of each batch are aligned with all controls (CORAL), with
-- second moments about zero.
-- Grain: one row per raw profile and step.   Reads: raw_profile.
-- $per: unit that is aligned: plate, batch or dataset; $controls: all, or a control_type; $epsilon: added
-- to the eigenvalues and to the diagonals of the covariances, by default 1.
-- Source: Ando et al. 2017, doi 10.1101/161422; Morelli et al. 2025, supplement.
select
    row_id,
    1 as step,
    'whiten_rotated' as method,
    coalesce($epsilon::double, 1) as epsilon,
    dataset as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
union all by name
select
    row_id,
    2 as step,
    'align_about_zero' as method,
    coalesce($epsilon::double, 1) as epsilon,
    unit_of(coalesce($per, 'batch'), plate, source, batch, dataset) as unit,
    teaching(coalesce($controls, 'negcon'), control_type) as teaches
from raw_profile
