"""Files of profiles, and of the statistics of their normalizations.

Shapes: L profiles, K features.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError
from unidino.core.text import first_line
from unidino.core.user_sql import ask, confined
from unidino.core.vectors import vector_column
from unidino.lake.lake import Lake
from unidino.lake.mending import Mender
from unidino.lake.parts import read_part
from unidino.profiles.methods import Affine
from unidino.profiles.normalize import Learnt

ROW_GROUP = 4096


def write_profiles(
    path: Path,
    table: pa.Table,
    vectors: NDArray[Any],
    named: Mapping[str, str],
    *,
    exact: bool,
    told: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write profiles to a file, in float64 if exact, else in float32.

    table: a row for each profile, without its vector. vectors: (L, K). named: by column, the value
    of all its rows. told: metadata of the file.
    """
    kind = pa.float64() if exact else pa.float32()
    schema = assets.arrow_schema("profile")
    schema = schema.set(schema.get_field_index("embedding"), pa.field("embedding", pa.list_(kind)))
    text = _text_columns(schema)
    written = schema.with_metadata(dict(told or {}))
    # Random digits do not get smaller: writing and reading would take twice the time for 4-8 %.
    others = [field for field in schema if field.name != "embedding"]
    packed = {f.name + ".list.element" * pa.types.is_list(f.type): "zstd" for f in others}
    with pq.ParquetWriter(path, written, compression=packed, use_dictionary=text) as writer:
        for start in range(0, len(vectors), ROW_GROUP):
            block = vectors[start : start + ROW_GROUP].astype(kind.to_pandas_dtype(), copy=False)
            rows = table.slice(start, ROW_GROUP).append_column("embedding", vector_column(block))
            writer.write_table(_conform(schema, rows, named))


def _text_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if pa.types.is_string(field.type)]


def _conform(schema: pa.Schema, table: pa.Table, named: Mapping[str, str]) -> pa.Table:
    """The table with the columns and types of an Arrow schema; `named` has columns of one value."""
    columns = {
        name: pa.array([named[name]] * table.num_rows, pa.string())
        if name in named
        else table[name]
        for name in schema.names
    }
    return pa.table(columns).cast(schema)


def write_statistics(
    path: Path,
    learnt: Sequence[Learnt],
    channels: Sequence[str],
    named: Mapping[str, str],
    told: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write the statistics of a normalization to a file, a row for each step and unit.

    named: by column, the value of all its rows. told: metadata of the file.
    """
    rows = pa.Table.from_pylist(
        [
            {
                "step": k.step,
                "method": k.method,
                "unit": k.unit,
                "num_teaching": k.num_teaching,
                "channels": list(channels),
                "center": k.map.centre,
                "spread": k.map.spread,
                "epsilon": k.map.epsilon,
                "matrix": None if k.map.matrix is None else k.map.matrix.ravel(),
            }
            for k in learnt
        ]
    )
    table = _conform(assets.arrow_schema("statistic"), rows, named)
    table = table.replace_schema_metadata(dict(told or {}))
    pq.write_table(table, path, compression="zstd", use_dictionary=False)


def read_statistics(path: Path) -> list[Learnt]:
    """The statistics of a normalization, from a file of the table `statistic`.

    Raises InputError if the file is no such file.
    """
    schema = assets.arrow_schema("statistic")
    try:
        table = pq.read_table(path)
        table = table.select(schema.names).cast(schema)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = first_line(error)
        raise InputError(
            f"'{path}' has no statistics as `unidino profile` writes them: {reason}"
        ) from error
    if not table.num_rows:
        raise InputError(f"'{path}' has no statistics: the table is empty")
    learnt = []
    for row in table.to_pylist():
        center, spread = np.array(row["center"]), np.array(row["spread"])
        matrix = None if row["matrix"] is None else np.array(row["matrix"]).reshape(len(center), -1)
        learnt.append(
            Learnt(
                row["step"],
                row["method"],
                row["unit"],
                row["num_teaching"],
                Affine(center, spread, matrix, row["epsilon"]),
            )
        )
    return learnt


def load(lake: Lake, model: str, normalization: str, level: str, dataset: str) -> pa.Table:
    """Profiles of a dataset, in the order of profile_id.

    Raises ProfileError if the profiles are not in the lake, LakeError if their file is damaged.
    """
    found = lake.look_up(
        "select uri from part where kind = 'profile' and model = $model and level = $level"
        " and normalization = $normalization and dataset = $dataset",
        {"model": model, "normalization": normalization, "level": level, "dataset": dataset},
    )
    if found.is_empty():
        raise ProfileError(f"no {level} profiles of {model} ({normalization}) for '{dataset}'")
    uri = found["uri"][0]
    return read_part(lake, uri, Mender(lake).of_part(uri))


def fitting(rows: pa.Table, where: str) -> pa.Array:
    """Positions of the profiles that satisfy a condition, ascending.

    rows: the columns that the condition may read. where: SQL condition.
    Raises InputError if the condition is invalid.
    """
    place = pa.array(np.arange(rows.num_rows))
    described = rows.append_column("_position", place)
    query = f"select _position from profile where ({where}) order by 1"
    with confined({"profile": described}, query) as con:
        chosen = ask(con, query, what=f'--where "{where}"').column(0).combine_chunks()
    is_of_rows = chosen.type == place.type and len(chosen.unique()) == len(chosen)
    if not is_of_rows or pc.all(pc.is_in(chosen, place)).as_py() is False:
        raise InputError(f'--where "{where}" is no condition that a profile fits or not')
    return chosen
