"""Wide tables of features: a row for each well, a column for each feature.

Columns named Metadata_..., or like a column of the manifest, are metadata; other columns of numbers
are features. Shapes: N rows, D features.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, quoted
from unidino.core.user_sql import ask, confined
from unidino.plates import tables
from unidino.plates.meaning import Reading, give_meaning

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".parquet", ".arrow", ".feather", ".h5ad")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?|nan", re.IGNORECASE)
_METADATA = re.compile(r"^(image_)?metadata_", re.IGNORECASE)


def parse_map(text: str) -> dict[str, str]:
    """Expressions by column of the manifest, from `plate=Metadata_Plate,batch=left(plate, 5)`.

    Commas inside parentheses and quotes are part of an expression.
    Raises InputError for a column that is not in the manifest.
    """
    given = {}
    known = [n for n in assets.manifest_schema()["properties"] if n not in ("path", "page")]
    for part in re.findall(r"(?:[^,('\"]|\([^)]*\)|'[^']*'|\"[^\"]*\")+", text):
        name, equals, value = part.partition("=")
        if not equals or name.strip() not in known:
            raise InputError(
                f"--map '{part.strip()}': write COLUMN=ITS NAME, for one of {', '.join(known)}"
            )
        given[name.strip()] = value.strip()
    return given


def read(
    con: Connection,
    name: str,
    path: Path,
    mapped: Mapping[str, str],
    pattern: str | None,
    reading: Reading,
) -> tuple[list[str], NDArray[np.float64], set[str]]:
    """Names (D,) of the features of a file, their values (N, D), and which of `mapped` are columns.

    Missing values are NaN. The other columns become the table `name` in `con`: as text, in the
    order of the file, with the names of the manifest.
    mapped: see `parse_map`. pattern: regular expression that the names of features match; default:
    every column of numbers that is not metadata.
    Raises InputError if the file cannot be read, or has no features.
    """
    table = _table(con, path)
    features = [c for c in table.column_names if _is_feature(table, c, mapped, pattern)]
    if not features:
        raise InputError(
            f"'{path}' has no features: no column of numbers"
            + (f" matches '{pattern}'" if pattern else " that is not metadata")
        )
    for column in table.column_names:
        if column not in features and (odd := _oddity(table, column, mapped, pattern)):
            log.warning(
                f"column '{column}' is not a feature: row {odd[0]} has '{odd[1]}', which is not a"
                " number"
            )
    values = np.empty((table.num_rows, len(features)))
    for i, column in enumerate(features):
        values[:, i] = _numbers(table[column])
    others = {
        c: table[c].cast(pa.string())
        for c in table.column_names
        if c not in features and not pa.types.is_nested(table[c].type)
    }
    others |= {
        "_line": pa.array(np.arange(table.num_rows) + 2),
        "_file": pa.array([str(path)] * table.num_rows),
    }
    con.register("_wide", pa.table(others))
    con.execute(f"create table {quoted(name)} as from _wide")
    con.unregister("_wide")
    return features, values, rename(con, name, mapped, reading, path.name)


def rename(
    con: Connection, table: str, mapped: Mapping[str, str], reading: Reading, name: str
) -> set[str]:
    """Names in `mapped` whose value is a column of the table; columns get the manifest's names.

    name: of the table's file. Columns are renamed by `mapped` first, then by the aliases of the
    manifest; other columns lose the prefix Metadata_.
    """
    have = tables.columns(con, table)
    found = {name for name, column in mapped.items() if column in have}
    for name, column in mapped.items():
        if name in found and column != name:
            if name in have:
                con.execute(f"alter table {quoted(table)} drop column {quoted(name)}")
            con.execute(
                f"alter table {quoted(table)} rename column {quoted(column)} to {quoted(name)}"
            )
    give_meaning(con, table, reading, name)
    for column in tables.columns(con, table):
        bare = _METADATA.sub("", column)
        if bare != column and bare not in tables.columns(con, table):
            con.execute(
                f"alter table {quoted(table)} rename column {quoted(column)} to {quoted(bare)}"
            )
    return found


def compute(con: Connection, table: str, expressions: Mapping[str, str]) -> None:
    """Set or add columns of a table by SQL expressions over its columns.

    Raises InputError if an expression fails.
    """
    for name, expression in expressions.items():
        have = tables.columns(con, table)
        kept = f"* exclude ({quoted(name)})" if name in have else "*"
        query = f"select {kept}, ({expression})::varchar as {quoted(name)} from {quoted(table)}"
        try:
            with confined({table: con.sql(f"from {quoted(table)}").to_arrow_table()}) as apart:
                computed = ask(apart, query)
        except InputError as error:
            raise InputError(
                f"--map {name}={expression}: this is neither a column nor an expression over"
                f" {', '.join(have[:12])}, ..."
            ) from error
        con.register("_computed", computed)
        con.execute(f"create or replace table {quoted(table)} as from _computed")
        con.unregister("_computed")


def _table(con: Connection, path: Path) -> pa.Table:
    """The file as a table; a column of vectors becomes a column for each entry."""
    name = path.name.lower()
    if not path.is_file():
        raise InputError(f"no such table: '{path}'")
    if not name.endswith(SUFFIXES):
        raise InputError(f"cannot read '{path}'; its name must end in one of {', '.join(SUFFIXES)}")
    try:
        if name.endswith(".h5ad"):
            return _anndata(path)
        if name.endswith(".parquet"):
            table = pq.read_table(path)
        elif name.endswith((".arrow", ".feather")):
            table = pyarrow.feather.read_table(path)
        else:
            table = con.sql(
                "select * from read_csv($path, all_varchar = true, header = true,"
                " nullstr = ['', 'NA', 'na', 'N/A', 'nan', 'NaN', 'NULL', 'null'])",
                params={"path": str(path)},
            ).to_arrow_table()
    except (OSError, ValueError, KeyError, pa.ArrowException, duckdb.Error) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"cannot read the table '{path}': {reason}") from error
    return _spread(table)


def _anndata(path: Path) -> pa.Table:
    """The observations and the matrix of an AnnData file as one table."""
    try:
        import anndata
    except ImportError as error:
        raise InputError("reading .h5ad needs anndata: pip install 'unidino[anndata]'") from error
    data = anndata.read_h5ad(path)
    values = data.X.toarray() if hasattr(data.X, "toarray") else np.asarray(data.X)
    table = pa.Table.from_pandas(data.obs, preserve_index=False)
    texts = {
        c: table[c].cast(pa.string()) if pa.types.is_dictionary(table[c].type) else table[c]
        for c in table.column_names
    }
    # Columns of observations are metadata even if they are numbers.
    texts = {c if _METADATA.match(c) else f"Metadata_{c}": v for c, v in texts.items()}
    columns = {str(n): pa.array(values[:, i]) for i, n in enumerate(data.var_names)}
    return pa.table(texts | columns)


def _spread(table: pa.Table) -> pa.Table:
    """The table, with a column of vectors replaced by a column for each entry."""
    columns: dict[str, Any] = {}
    for column in table.column_names:
        kind = table[column].type
        if pa.types.is_dictionary(kind):
            columns[column] = table[column].cast(kind.value_type)
        elif not (
            pa.types.is_list(kind)
            or pa.types.is_fixed_size_list(kind)
            or pa.types.is_large_list(kind)
        ) or not _is_number(kind.value_type):
            columns[column] = table[column]
        else:
            lengths = pc.list_value_length(table[column]).unique().to_pylist()
            if len(lengths) != 1 or lengths[0] is None:
                raise InputError(f"the vectors of column '{column}' have different lengths")
            for i in range(lengths[0]):
                columns[f"{column}_{i}"] = pc.list_element(table[column], i)
    return pa.table(columns)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_feature(
    table: pa.Table, column: str, mapped: Mapping[str, str], pattern: str | None
) -> bool:
    if column in mapped.values() or (pattern and not re.search(pattern, column)):
        return False
    if _METADATA.match(column) or (not pattern and column.lower() in _known()):
        return False
    kind = table[column].type
    if not (_is_number(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return False
    return _numbers(table[column]) is not None


def _oddity(
    table: pa.Table, column: str, mapped: Mapping[str, str], pattern: str | None
) -> tuple[int, str] | None:
    """Row (from 1) and text of the first value that is not a number, if most values are numbers."""
    if (
        column in mapped.values()
        or _METADATA.match(column)
        or (not re.search(pattern, column) if pattern else column.lower() in _known())
        or not pa.types.is_string(table[column].type)
    ):
        return None
    texts = [(i, t) for i, t in enumerate(table[column].to_pylist(), 1) if t is not None]
    odd = [(i, t) for i, t in texts if not _NUMBER.fullmatch(t.strip())]
    return odd[0] if odd and 2 * len(odd) < len(texts) else None


def _known() -> set[str]:
    """Names and aliases of the columns of the manifest."""
    properties = assets.manifest_schema()["properties"]
    return {alias for n, rule in properties.items() for alias in (n, *rule.get("aliases", ()))}


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """The values as float64, NaN if missing; None if one is not a number or all are missing."""
    if column.null_count == len(column) and len(column):
        return None
    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy())
