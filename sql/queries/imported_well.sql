-- The rows of an imported table as wells, with well names as A01 and with a control_type, which is
-- derived from the compound if it is missing.
-- Grain: one row per row of the table.   Reads: typed, known (plates of the lake).
-- $dataset: default dataset; $negcon: compound that is the negative control; $level: of the rows.
select
    typed.line,
    typed.place,
    coalesce(known.dataset, typed.dataset, $dataset) as dataset,
    known.plate_id is not null as is_known,
    typed.source,
    typed.batch,
    typed.plate,
    typed.barcode,
    typed.num_rows,
    typed.num_columns,
    well_or_text(typed.well) as well,
    typed.well as spelling,
    row_of(canonical_well(typed.well)) as well_row,
    column_of(canonical_well(typed.well)) as well_column,
    case when $level = 'field' then typed.field else 1 end as field,
    0 as channel_index,
    typed.perturbation,
    typed.compound,
    case when isfinite(typed.concentration_um) then typed.concentration_um end as concentration_um,
    coalesce(
        canonical_control_type(typed.control_type),
        case
            when lower(typed.compound) = lower($negcon) then 'negcon'
            when typed.compound is not null then 'trt'
        end
    ) as control_type,
    typed.moa,
    typed.target,
    typed.cell_line,
    typed.num_cells,
    typed.extra
from typed
left join known on typed.plate = known.plate_id
