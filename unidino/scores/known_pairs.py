"""Lists of pairs of entities that are known to be related."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError
from unidino.core.files import text_hash
from unidino.core.log import log
from unidino.core.sql import scratch
from unidino.plates import tables

_COLUMNS = ("entity1", "entity2")
_SHOWN = 3


@dataclass(frozen=True)
class Database:
    """A list of known pairs. name: of its file. pairs: columns entity1, entity2, without NULL."""

    name: str
    pairs: pl.DataFrame
    content_hash: str


def read_pairs(file: Path) -> Database:
    """The known pairs of a CSV, TSV or Parquet file.

    Raises InputError if it has neither the columns entity1 and entity2 nor two columns, or no pair.
    """
    con = scratch()
    try:
        tables.load(con, "given", [file])
        rows: pl.DataFrame = con.sql("select * exclude (_line, _file) from given").pl()
    finally:
        con.close()
    names = [c for wanted in _COLUMNS for c in rows.columns if c.lower() == wanted]
    if len(names) != 2 and len(rows.columns) == 2:
        names = rows.columns
    if len(names) != 2:
        raise InputError(
            f"'{file}' has the columns {', '.join(rows.columns)}; pairs need entity1 and entity2"
        )
    whole = rows.select(pl.col(n).alias(c) for n, c in zip(names, _COLUMNS, strict=True))
    found = whole.drop_nulls()
    if found.is_empty():
        raise InputError(f"'{file}' has no pair: no row has both {' and '.join(names)}")
    if num := len(whole) - len(found):
        log.warning(f"{num} rows of '{file}' lack an entity and are left out")
    text = found.unique().sort(_COLUMNS).write_csv()
    return Database(tables.stem(file), found, text_hash(text)[:8])


def matched(names: Sequence[str], database: Database) -> tuple[pl.DataFrame, int]:
    """The known pairs whose entities both have profiles, with positions, and the number of others.

    Raises ProfileError if no pair has.
    """
    con = scratch()
    try:
        con.register("pair", database.pairs.to_arrow())
        entity = {"position": np.arange(len(names)), "entity": pa.array(names, pa.string())}
        con.register("entity", pa.table(entity))
        rows: pl.DataFrame = con.sql(assets.sql("pairs", "relation")).pl()
    finally:
        con.close()
    known = rows.drop_nulls()
    if known.is_empty():
        listed = pl.concat([rows["entity1"], rows["entity2"]]).unique().sort().to_list()
        same = {n.upper() for n in names} & {n.upper() for n in listed}
        hint = f"; {len(same)} names differ only in upper and lower case" if same else ""
        raise ProfileError(
            f"none of its {len(rows)} pairs has two entities with profiles: it has"
            f" {_some(listed)}, profiles have {_some(names)}{hint}"
        )
    return known, len(rows) - len(known)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
