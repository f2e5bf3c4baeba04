-- The rows of a layout with their plates renamed; the first rule that fits a row counts.
-- Grain: one row per plane of a file.   Reads: typed.
-- $rules: plate (its name), or folder (where the row's file lies, ending in /), and the name to give;
-- $root: folder where relative paths start.
select
    * replace (
        coalesce(
            list_filter(
                $rules::struct(plate varchar, folder varchar, given varchar)[],
                lambda rule: plate = rule.plate
                or starts_with(if(path[1] = '/', path, $root || '/' || path), rule.folder)
            )[1].given,
            plate
        ) as plate
    )
from typed
