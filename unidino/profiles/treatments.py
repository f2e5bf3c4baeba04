"""Treatments: compounds at a concentration, as a column of the metadata of profiles."""

import pyarrow as pa

from unidino.core.sql import scratch

TREATMENT = "treatment"
_COLUMNS = ("compound", "concentration_um")


def with_treatment(table: pa.Table) -> pa.Table:
    """The metadata with the column `treatment`, such as `taxol 0.3 uM`.

    A table that has the column, or lacks the compound, is returned unchanged. The macro
    `treatment_of` tells how the text is made.
    """
    if TREATMENT in table.column_names or "compound" not in table.column_names:
        return table
    given = {name: table[name] for name in _COLUMNS if name in table.column_names}
    given.setdefault("concentration_um", pa.nulls(table.num_rows, pa.float64()))
    query = "select treatment_of(compound, concentration_um) as treatment from given"
    con = scratch([query])
    try:
        con.register("given", pa.table(given))
        texts = con.sql(query).to_arrow_table()[TREATMENT]
    finally:
        con.close()
    return table.append_column(TREATMENT, texts.cast(pa.string()))
