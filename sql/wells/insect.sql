-- Wells of Insect that the paper scores: the active concentrations that the authors chose for each
-- compound, of mechanisms with two compounds or more. Inhibitors of the complexes I, II and III are one
-- mechanism. Compounds and mechanisms get the names of the authors' tables, whatever the lake calls them.
-- A chosen well with another compound than theirs is refused, because the plates differ from theirs.
-- Grain: one row per raw profile that counts.   Reads: raw_profile.
-- Source: Morelli et al. 2025, section 2.3.2; the wells, names and mechanisms are facts of the files
-- figures/insect/cluster_selected_conc_P1-P3.xlsx, cluster_selected_conc_P4-P6.xlsx,
-- cluster_biological_annot.xlsx and insect_figures.py of github.com/Bayer-Group/uniDINO (BSD-3-Clause,
-- Bayer AG). They chose 62 wells of each of the plates P1 to P3 and 88 of P4 to P6 (all of Batch3);
-- 40 and 46 are of the five mechanisms of two compounds or more: 43 treatments and 258 wells remain.
-- well_rows, from_column, to_column: the rectangle of the plate in which a compound is active.
with chosen (plates, compound, mechanism, well_rows, from_column, to_column) as (
    values
    ('P1-P3', 'Antimycin A', 'Mitochondrial complex III inhibitor', 'EF', 7, 7),
    ('P1-P3', 'Atpenin A5', 'Mitochondrial complex II inhibitor', 'GH', 6, 7),
    ('P1-P3', 'Azadirachtin A', 'Apoptosis inducer', 'MN', 11, 14),
    ('P1-P3', 'Colchicine', 'Mitosis inhibitor / Tubulin disruptor', 'MN', 2, 7),
    ('P1-P3', 'Cyclosporin A', 'Signal transduction inhibitor', 'KL', 6, 7),
    ('P1-P3', 'FCCP', 'Mitochondrial uncoupler', 'IJ', 12, 14),
    ('P1-P3', 'Latrunculin B', 'Actin polymerization inhibitor', 'GH', 10, 14),
    ('P1-P3', 'Paclitaxel', 'Mitosis inhibitor / Tubulin disruptor', 'CD', 13, 14),
    ('P1-P3', 'Rotenone', 'Mitochondrial complex I inhibitor', 'IJ', 4, 7),
    ('P1-P3', 'Spirotetramat', 'Acetyl-CoA carboxylase inhibitor', 'KL', 13, 14),
    ('P4-P6', 'Abamectin B1', 'Neurotoxin', 'GH', 8, 14),
    ('P4-P6', 'Bafilomycin A1', 'V-ATPase inhibitor', 'CD', 19, 21),
    ('P4-P6', 'Carbofuran', 'AChE & BuChE inhibitor', 'GH', 15, 21),
    ('P4-P6', 'Concanamycin A', 'V-ATPase inhibitor', 'EF', 3, 7),
    ('P4-P6', 'Cytochalasin D', 'Actin polymerization inhibitor', 'IJ', 3, 7),
    ('P4-P6', 'Diafenthiuron', 'Mitochondrial ATPase inhibitor', 'EF', 17, 21),
    ('P4-P6', 'Fenbutatinoxide', 'Mitochondrial ATPase inhibitor', 'EF', 13, 14),
    ('P4-P6', 'Oligomycin A', 'Mitochondrial ATPase inhibitor', 'GH', 5, 7),
    ('P4-P6', 'Sucrose', 'Negative control', 'IJ', 15, 21)
),

-- Names of compounds in the metadata of the images, and those in the authors' tables.
alias (given, compound) as (
    values
    ('abamectin', 'Abamectin B1'),
    ('atpenin', 'Atpenin A5'),
    ('bafilomycin', 'Bafilomycin A1'),
    ('cytocalasin d', 'Cytochalasin D'),
    ('fenbutationoxid', 'Fenbutatinoxide'),
    ('fenbutatin oxide', 'Fenbutatinoxide'),
    ('latruculin b', 'Latrunculin B'),
    ('saccharose', 'Sucrose'),
    ('taxol', 'Paclitaxel')
),

merged as (
    select
        plates,
        compound,
        substr(well_rows, row_number.i, 1) || lpad(column_number.i::varchar, 2, '0') as well,
        case
            when regexp_matches(mechanism, '^Mitochondrial complex I{1,3} inhibitor$')
                then 'Mitochondrial complex inhibitor'
            else mechanism
        end as moa
    from chosen
    cross join range(1, 3) as row_number (i)
    inner join range(1, 25) as column_number (i) on column_number.i between from_column and to_column
),

scored as (
    select *
    from merged
    qualify count(distinct compound) over (partition by moa) > 1
),

named as (
    select
        raw_profile.*,
        coalesce(alias.compound, trim(raw_profile.compound)) as name,
        case
            when right(raw_profile.plate, 2) in ('P1', 'P2', 'P3') then 'P1-P3'
            when right(raw_profile.plate, 2) in ('P4', 'P5', 'P6') then 'P4-P6'
        end as plates
    from raw_profile
    left join alias on lower(trim(raw_profile.compound)) = alias.given
    where coalesce(raw_profile.batch, 'Batch3') = 'Batch3'
)

select
    named.* exclude (name, plates)
    replace (
        case
            when lower(named.name) = lower(scored.compound) then scored.compound
            else error(
                'plate ' || named.plate || ' has ' || coalesce(named.name, 'no compound') || ' in well '
                || named.well || ', where the authors have ' || scored.compound
            )
        end as compound,
        scored.moa as moa
    )
from named
inner join scored on named.plates = scored.plates and named.well = scored.well
