"""Wells of a dataset with all that is known of them, and what a user's SQL says of each.

Shapes: N wells.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock, RLock
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import quoted
from unidino.core.user_sql import ask, confined
from unidino.lake.lake import Lake

FIGURES = ("mean", "focus", "saturation")
_MOST_EXTRA = 40
Value = TypeVar("Value")


class Cache:
    """Values by key: the last few that were asked for, each computed once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._locks: dict[Hashable, RLock] = {}
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is not held."""
        with self._lock:
            own = self._locks.setdefault(key, RLock())
        with own:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    held: Value = self._values[key]
                    return held
            value = make()
            self.put(key, value)
            return value

    def put(self, key: Hashable, value: object) -> None:
        """Hold a value, and let go of what was not asked for longest."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                gone, _ = self._values.popitem(last=False)
                self._locks.pop(gone, None)


def version(lake: Lake) -> tuple[int, int]:
    """What changes whenever a command writes to the catalog."""
    state = lake.catalog.stat()
    return state.st_mtime_ns, state.st_size


@dataclass(frozen=True)
class Wells:
    """Wells of a dataset, in order of plate, row and column.

    table: (N) rows: the columns of `well` and `plate`, those that the dataset says besides, and
    figures of the images such as `focus_DNA`.
    """

    dataset: str
    table: pl.DataFrame
    position: dict[tuple[str, str], int]

    def row(self, plate: str, well: str) -> dict[str, Any] | None:
        """What is known of a well, or None."""
        found = self.position.get((plate, well))
        return None if found is None else self.table.row(found, named=True)

    def of_plate(self, plate: str) -> pl.DataFrame:
        """The rows of a plate, with their `position`."""
        return self.table.with_row_index("position").filter(pl.col("plate") == plate)

    def columns(self) -> list[str]:
        """Columns that differ between wells."""
        used = self.table.select(pl.all().exclude("extra", "dataset"))
        counts = used.select(pl.all().drop_nulls().n_unique()).row(0, named=True)
        return [name for name, count in counts.items() if count > 1]

    def values(self, expression: str) -> pl.Series:
        """A value (N,) for each well: of a column, or of an SQL expression over columns.

        Raises InputError if the expression is not valid.
        """
        if expression in self.table.columns:
            return self.table[expression]
        return self._evaluate(f"select _position, ({expression}) as value from well")["value"]

    def fits(self, condition: str) -> NDArray[np.bool_]:
        """Whether each well (N,) fits an SQL condition; an empty one all fit.

        Raises InputError if the condition is not valid.
        """
        if not condition.strip():
            return np.ones(len(self.table), dtype=bool)
        values = self._evaluate(
            f"select _position, coalesce(({condition})::boolean, false) as value from well"
        )["value"]
        return values.to_numpy().astype(bool)

    def _evaluate(self, query: str) -> pl.DataFrame:
        wells = self.table.with_row_index("_position")
        with confined({"well": wells}) as con:
            rows = pl.DataFrame(ask(con, query))
        if rows.columns != ["_position", "value"] or len(rows) != len(self.table):
            raise InputError("give one value for each well")
        return rows.sort("_position")


def read_wells(lake: Lake, dataset: str) -> Wells:
    """The wells of a dataset."""
    of = {"dataset": dataset}
    table = lake.look_up(assets.sql("queries", "explored_well"), of)
    figures = lake.look_up(assets.sql("queries", "explored_image"), of)
    table = _with_extra(table)
    if len(figures):
        wide = figures.sort("channel").pivot(
            "channel", index=["plate", "well"], values=[*FIGURES], aggregate_function="first"
        )
        if figures["channel"].n_unique() == 1:
            name = figures["channel"][0]
            wide = wide.rename(
                {c: f"{f}_{name}" for f in FIGURES for c in (name, f) if c in wide.columns}
            )
        flagged = figures.group_by("plate", "well").agg(pl.col("num_flagged").sum())
        for more in (flagged, wide):
            new = [c for c in more.columns if c in ("plate", "well") or c not in table.columns]
            table = table.join(
                more.select(new), on=["plate", "well"], how="left", maintain_order="left"
            )
    keys = zip(table["plate"].to_list(), table["well"].to_list(), strict=True)
    return Wells(dataset, table, {key: i for i, key in enumerate(keys)})


def _with_extra(table: pl.DataFrame) -> pl.DataFrame:
    """The table with a column for each key that the dataset says besides."""
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


def channels(lake: Lake, dataset: str) -> list[str]:
    """Names of the channels of a dataset, in the order of their index."""
    rows = lake.look_up(
        "select channel, min(channel_index) as nth from channel"
        " inner join plate on plate_id = plate where dataset = $dataset group by channel"
        " order by nth, channel",
        {"dataset": dataset},
    )
    return rows["channel"].to_list()


def identifier(name: str) -> str:
    """A column's name as a user writes it in SQL."""
    return name if name.isidentifier() else quoted(name)
