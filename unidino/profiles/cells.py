"""Single cells as parts of the lake, and their counts in the table of wells."""

from collections.abc import Sequence

import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, quoted
from unidino.lake.catalog import Landing
from unidino.lake.edited import keep_again
from unidino.lake.lake import Lake
from unidino.lake.parts import Part, Parts, carried
from unidino.profiles.object_features import ObjectColumns

_FIXED = ("model", "plate", "well", "field", "image", "cell")
_ROW_GROUP = 20_000


def write_cells(
    con: Connection, parts: Parts, model: str, plate: str, columns: ObjectColumns
) -> None:
    """Write the cells of a plate as a part, with their features and places by name.

    con: has the view `_cell` and the table `manifest`, whose `line` is one less than `_line`.
    Raises InputError if a feature has the name of a column that every cell has.
    """
    kept = [*columns.features, *(c for c in columns.places if c not in columns.features)]
    if taken := sorted({c for c in kept if c.lower() in _FIXED}):
        raise InputError(
            f"--keep-cells needs the column name '{taken[0]}' for itself; rename the feature, or"
            " leave it out by --features"
        )
    number = f"try_cast(c.{quoted(columns.number)} as integer)" if columns.number else "null"
    named = "".join(f", c.{quoted(name)}" for name in kept)
    cells = (
        "select $model as model, m.plate, m.well, c._field as field, c._image::integer as image,"
        f" coalesce({number}, row_number() over (partition by c._image))::integer as cell{named}"
        " from _cell as c inner join manifest as m on c._line = m.line + 1 where m.plate = $plate"
    )
    (num,) = first_row(
        con,
        "select count(*) from _cell as c inner join manifest as m on c._line = m.line + 1"
        " where m.plate = $plate",
        {"plate": plate},
    )
    if not num:
        return
    part = Part(f"cells/{model}/{plate}.parquet", "cell", model, plate=plate)
    with parts.writing(part, num) as path:
        told = {key.decode(): value.decode() for key, value in carried(part).items()}
        rows = con.sql(cells, params={"model": model, "plate": plate})
        rows.create_view("_written", replace=True)
        listed = ", ".join(f"{quoted(k)}: $v{i}" for i, k in enumerate(told))
        con.execute(
            f"copy (from _written) to $path (format parquet, compression zstd, row_group_size"
            f" {_ROW_GROUP}, kv_metadata {{{listed}}})",
            {"path": str(path)} | {f"v{i}": v for i, v in enumerate(told.values())},
        )


def fill_counts(lake: Lake, landing: Landing, rows: pa.Table, plates: Sequence[str]) -> None:
    """Set num_cells of wells that were in the lake already and that have no count yet.

    rows: of the manifest. plates: whose wells may get a count.
    """
    if not plates:
        return
    told = rows.select(["plate", "well", "num_cells"])
    with landing.tables(["well"], plates) as con:
        con.register("told", told)
        try:
            filled = con.sql(
                assets.sql("queries", "filled_count"), params={"plates": list(plates)}
            ).to_arrow_table()
        finally:
            con.unregister("told")
    if differ := sum(filled["differs"].to_pylist()):
        log.warning(
            f"{differ} wells keep the num_cells that they have, which differ from this table's"
        )
    landing.forget("well", "plate", plates)
    landing.put("well", filled.drop_columns(["differs"]))
    for plate in plates:
        keep_again(lake, landing, plate)
