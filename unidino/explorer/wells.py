"""Wells of a dataset with their metadata, and values of a user's SQL expressions over them.

Shapes: N wells.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.user_sql import ask, confined
from unidino.lake.lake import Lake
from unidino.profiles.treatments import with_treatment

_QUALITY = ("mean", "focus", "saturation")
_MOST_EXTRA = 40
_PATIENCE_S = 20.0
Evaluate = Callable[[pl.DataFrame, str], pl.DataFrame]


@dataclass(frozen=True)
class Wells:
    """Wells of a dataset, in order of plate, row and column.

    table: N rows with the columns of `well` and `plate`, the other columns that the dataset gave,
    and quality of the images such as `focus_DNA`. position: row of the table by plate and well.
    """

    table: pl.DataFrame
    position: dict[tuple[str, str], int]

    def row(self, plate: str, well: str) -> dict[str, Any] | None:
        """The metadata of a well; None if the dataset has no such well."""
        position = self.position.get((plate, well))
        return None if position is None else self.table.row(position, named=True)

    def of_plate(self, plate: str) -> pl.DataFrame:
        """The rows of a plate with their `position` in the table."""
        return self.table.with_row_index("position").filter(pl.col("plate") == plate)

    def columns(self) -> list[str]:
        """Names of the columns that have two values or more."""
        used = self.table.select(pl.all().exclude("extra", "dataset"))
        counts = used.select(pl.all().drop_nulls().n_unique()).row(0, named=True)
        return [name for name, count in counts.items() if count > 1]

    def at(self, position: int) -> dict[str, Any]:
        """The metadata of the well in a row of the table.

        Raises InputError if there is no such row.
        """
        if not 0 <= position < len(self.table):
            raise InputError(f"the dataset has no well {position}")
        return self.table.row(position, named=True)

    def values(self, expression: str, evaluate: "Evaluate | None" = None) -> pl.Series:
        """Values (N,) of a column, or of an SQL expression over the columns.

        evaluate: runs the query; default in this process.
        Raises InputError if the expression is not valid.
        """
        if expression in self.table.columns:
            return self.table[expression]
        query = f"select _position, ({expression}) as value from well"
        return self._evaluate(query, evaluate)["value"]

    def fits(self, condition: str, evaluate: "Evaluate | None" = None) -> NDArray[np.bool_]:
        """Whether each well (N,) fits an SQL condition; all fit an empty condition.

        Raises InputError if the condition is not valid.
        """
        if not condition.strip():
            return np.ones(len(self.table), dtype=bool)
        query = f"select _position, coalesce(({condition})::boolean, false) as value from well"
        return self._evaluate(query, evaluate)["value"].to_numpy().astype(bool)

    def _evaluate(self, query: str, evaluate: "Evaluate | None") -> pl.DataFrame:
        rows = (evaluate or evaluated)(self.table, query)
        if rows.columns != ["_position", "value"] or len(rows) != len(self.table):
            raise InputError("give one value for each well")
        return rows.sort("_position")


def evaluated(table: pl.DataFrame, query: str) -> pl.DataFrame:
    """Rows of a user's query over the table `well`, which has `_position` besides its columns.

    Raises InputError if it is not valid, or takes too long.
    """
    with confined({"well": table.with_row_index("_position")}, query) as con:
        return pl.DataFrame(ask(con, query, patience_s=_PATIENCE_S))


def read_wells(lake: Lake, dataset: str) -> Wells:
    """The wells of a dataset."""
    parameters = {"dataset": dataset}
    table = _with_extra(lake.look_up(assets.sql("queries", "explored_well"), parameters))
    table = pl.DataFrame(with_treatment(table.to_arrow()))
    quality = lake.look_up(assets.sql("queries", "explored_image"), parameters)
    if len(quality):
        wide = quality.sort("channel").pivot(
            "channel", index=["plate", "well"], values=[*_QUALITY], aggregate_function="first"
        )
        if quality["channel"].n_unique() == 1:
            name = quality["channel"][0]
            wide = wide.rename(
                {c: f"{q}_{name}" for q in _QUALITY for c in (name, q) if c in wide.columns}
            )
        flagged = quality.group_by("plate", "well").agg(pl.col("num_flagged").sum())
        for more in (flagged, wide):
            new = [c for c in more.columns if c in ("plate", "well") or c not in table.columns]
            table = table.join(
                more.select(new), on=["plate", "well"], how="left", maintain_order="left"
            )
    keys = zip(table["plate"].to_list(), table["well"].to_list(), strict=True)
    return Wells(table, {key: i for i, key in enumerate(keys)})


def _with_extra(table: pl.DataFrame) -> pl.DataFrame:
    """The table with a column for each key of `extra`, at most 40."""
    texts = table["extra"].unique().drop_nulls().to_list()
    parsed = {text: json.loads(text) for text in texts}
    names: dict[str, None] = {}
    for values in parsed.values():
        names |= dict.fromkeys(values) if isinstance(values, dict) else {}
    new = []
    for name in [n for n in names if n not in table.columns][:_MOST_EXTRA]:
        values = [(parsed[text] or {}).get(name) if text else None for text in table["extra"]]
        texts = [None if v is None else str(v) for v in values]
        column = pl.Series(name, texts, pl.String)
        number = column.cast(pl.Float64, strict=False)
        new.append(number if number.null_count() == column.null_count() else column)
    return table.with_columns(new)
