"""Wide tables of features: a row for each well, a column for each feature.

Columns named Metadata_..., or like a column of the manifest, are metadata; other columns of numbers
are features, but for those that number, count or place the rows. Shapes: N rows, D features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.clean import clean_texts, say_spreadsheet_errors
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, quoted
from unidino.plates.meaning import Reading
from unidino.profiles.feature_choice import choose_features
from unidino.profiles.feature_columns import INDEX, canonical
from unidino.profiles.mapping import compute, keep_features, parse_map, rename
from unidino.profiles.wide_files import SUFFIXES, read_table

__all__ = ["SUFFIXES", "Wide", "compute", "create_texts", "parse_map", "read", "rename"]


@dataclass(frozen=True)
class Wide:
    """A wide table that was read.

    features: (D,), names. values: (N, D), NaN where missing. found: names that --map gives to
    columns of the table. left_out: columns of numbers that are no features, and why.
    """

    features: list[str]
    values: NDArray[np.float64]
    found: set[str]
    left_out: dict[str, str]


def read(
    con: Connection,
    name: str,
    path: Path,
    mapped: Mapping[str, str],
    pattern: str | None,
    reading: Reading,
    *,
    layer: str | None = None,
    readouts: bool = False,
) -> Wide:
    """The features of a file.

    Missing and infinite values are NaN. The other columns become the table `name` in `con`: as
    text, in the order of the file, with the names of the manifest.
    mapped: see `parse_map`. pattern: regular expression that the names of features match; default:
    every column of numbers that is neither metadata nor numbers, counts or places the rows.
    layer: matrix of an AnnData file. readouts: columns that count or dose are features too.
    Raises InputError if the file cannot be read, has no features, or has numbers that may be read
    in two ways.
    """
    file = read_table(con, path, layer)
    choice = choose_features(file, mapped, pattern, reading.account, readouts=readouts)
    hidden = {c for c, why in choice.left_out.items() if why == INDEX} | set(choice.features)
    others = [c for c in file.table.column_names if c not in hidden]
    create_texts(con, name, file.table.select(others), path)
    keep_features(con, choice.features, choice.values, mapped)
    found = rename(con, name, mapped, reading, path.name)
    return Wide(choice.features, choice.values, found, choice.left_out)


def create_texts(con: Connection, name: str, table: pa.Table, path: Path) -> None:
    """Create a table of text of the columns that are no features."""
    texts: dict[str, Any] = {}
    no_text = []
    for column in table.column_names:
        twin = next((c for c in texts if c.lower() == column.lower()), None)
        if twin is not None and canonical(column):
            raise InputError(
                f"'{path}' has the columns '{twin}' and '{column}'; rename one of them"
            )
        text = _as_text(table[column], column)
        if text is None:
            no_text.append(column)
        else:
            texts[column] = text
    if no_text:
        log.warning(f"columns that are neither numbers nor text are lost: {', '.join(no_text)}")
    texts["_line"] = pa.array(np.arange(table.num_rows) + 2)
    texts["_file"] = pa.array([str(path)] * table.num_rows)
    con.register("_wide", pa.table(texts))
    con.execute(f"create table {quoted(name)} as from _wide")
    con.unregister("_wide")
    errors = clean_texts(con, name, verbatim={"_file"})
    told = {column: of for column, of in errors.items() if canonical(column)}
    say_spreadsheet_errors(told, path.name)


def _as_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray | None:
    """The values as text; a number that is not finite is missing.

    Names of plates and the like are whole, even if a missing value made the column one of floats.
    """
    kind = column.type
    if pa.types.is_nested(kind):
        return None
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        rule = assets.manifest_schema()["properties"].get(canonical(name) or "", {})
        if rule.get("type") in ("string", "integer"):
            try:
                return column.cast(pa.int64()).cast(pa.string())
            except pa.ArrowInvalid:  # not whole
                pass
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
