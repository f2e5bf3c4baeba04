"""Files of profiles, and of what their normalization learnt.

Shapes: L profiles, K features.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError
from unidino.core.files import written_beside
from unidino.core.sql import scratch, sql_error
from unidino.lake.lake import Lake
from unidino.profiles.form import ProfileForm
from unidino.profiles.normalize import Affine, Array, Learnt

ROW_GROUP = 4096


def write(
    path: Path, table: pa.Table, vectors: Array, named: Mapping[str, str], *, exact: bool
) -> None:
    """Write profiles, in float64 if exact, else in float32.

    table: a row for each, without its vector; vectors: (L, K). named: columns of one value.
    """
    kind = pa.float64() if exact else pa.float32()
    schema = assets.arrow_schema("profile")
    schema = schema.set(schema.get_field_index("embedding"), pa.field("embedding", pa.list_(kind)))
    with (
        written_beside(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="zstd", use_dictionary=_text_columns(schema)
        ) as writer,
    ):
        for start in range(0, len(vectors), ROW_GROUP):
            rows = table.slice(start, ROW_GROUP)
            block = np.ascontiguousarray(vectors[start : start + ROW_GROUP])
            offsets = np.arange(len(block) + 1, dtype=np.int32) * block.shape[1]
            values = pa.array(block.ravel().astype(kind.to_pandas_dtype()))
            rows = rows.append_column("embedding", pa.ListArray.from_arrays(offsets, values))
            writer.write_table(_conform(schema, rows, named))


def _text_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if pa.types.is_string(field.type)]


def _conform(schema: pa.Schema, table: pa.Table, named: Mapping[str, str]) -> pa.Table:
    """The table in the columns and types of its Arrow schema."""
    columns = {
        name: pa.array([named[name]] * table.num_rows, pa.string())
        if name in named
        else table[name]
        for name in schema.names
    }
    return pa.table(columns).cast(schema)


def write_statistics(
    path: Path, learnt: Sequence[Learnt], channels: Sequence[str], named: Mapping[str, str]
) -> None:
    """Write what was learnt, a row for each step and unit."""
    rows = pa.Table.from_pylist(
        [
            {
                "step": k.step,
                "method": k.method,
                "unit": k.unit,
                "num_teaching": k.num_teaching,
                "channels": list(channels),
                "center": k.map.center.tolist(),
                "spread": k.map.spread.tolist(),
                "epsilon": k.map.epsilon,
                "matrix": None if k.map.matrix is None else k.map.matrix.ravel().tolist(),
            }
            for k in learnt
        ]
    )
    table = _conform(assets.arrow_schema("statistic"), rows, named)
    with written_beside(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=False)


def read_statistics(path: Path, form: ProfileForm) -> list[Learnt]:
    """What was learnt, from a file of the table `statistic`.

    Raises InputError if the file is none.
    """
    if not form.steps:
        raise InputError("statistics are for a normalization; --normalize is none")
    try:
        table = pq.read_table(path, schema=assets.arrow_schema("statistic"))
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise InputError(f"'{path}' holds no statistics: {str(error).splitlines()[0]}") from error
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


def load(
    lake: Lake, model: str, normalize: str, level: str, dataset: str, where: str | None = None
) -> pa.Table:
    """Profiles in order of profile_id; they must have been computed.

    where: SQL condition over the columns of `profile`.
    Raises InputError if the condition fails.
    """
    found = lake.look_up(
        "select uri from part where kind = 'profile' and model = $model and level = $level"
        " and normalization = $normalize and dataset = $dataset",
        {"model": model, "normalize": normalize, "level": level, "dataset": dataset},
    )
    if found.is_empty():
        raise ProfileError(f"no {level} profiles of {model} ({normalize}) for '{dataset}'")
    rows = pq.read_table(lake.resolve(found["uri"][0]))
    if not where:
        return rows
    con = scratch()
    try:
        con.register(
            "chosen",
            rows.drop_columns(["embedding"]).append_column(
                "_position", pa.array(np.arange(rows.num_rows))
            ),
        )
        kept = con.execute(f"select _position from chosen where {where} order by 1").fetchall()
    except duckdb.Error as error:
        raise InputError(f'--where "{where}": {sql_error(error)}') from error
    finally:
        con.close()
    return rows.take(pa.array([k[0] for k in kept], pa.int64()))
