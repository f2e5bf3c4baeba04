"""The tables of vectors of a plate, as Arrow tables in the schemas of `schemas/*.arrow.json`.

Shapes: I vectors, D embedding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.vectors import vector_column
from unidino.embeddings.embedder import Encoded, Row

DICTIONARY_COLUMNS = ("model", "plate", "well", "channel")


def embedding_table(model: str, encoded: Encoded) -> pa.Table:
    """One row per vector, in the schema `embedding`."""
    columns = {"num_crops": encoded.num_crops}
    return _as_table("embedding", model, encoded.rows, columns, encoded.means)


def crop_table(model: str, encoded: Encoded) -> pa.Table:
    """One row per crop, in the schema `crop_embedding`; the crops must have been kept."""
    assert encoded.crops is not None
    pairs = zip(encoded.rows, encoded.num_crops, strict=True)
    rows = [row for row, num_crops in pairs for _ in range(num_crops)]
    top, left = encoded.places.T
    columns = {"top_px": top, "left_px": left}
    return _as_table("crop_embedding", model, rows, columns, encoded.crops)


def _as_table(
    name: str,
    model: str,
    rows: Sequence[Row],
    columns: Mapping[str, NDArray[Any]],
    vectors: NDArray[np.float32],
) -> pa.Table:
    """Rows with their vectors (I, D) and further columns (I,)."""
    schema = assets.arrow_schema(name, vectors.shape[1])
    values: dict[str, Any] = {
        "model": [model] * len(rows),
        **{key: [row[key] for row in rows] for key in ("plate", "well", "field", "channel")},
        # The vector of several channels is placed by the first of them.
        "channel_index": [int(np.min(row["channel_index"])) for row in rows],
        "embedding": vector_column(vectors, fixed=True),
        **columns,
    }
    return pa.Table.from_pydict({key: values[key] for key in schema.names}, schema=schema)
