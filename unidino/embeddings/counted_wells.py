"""The number of cells of a well in place of an embedding: the baseline of toxicity alone."""

from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from unidino.core.errors import InputError
from unidino.core.files import digest
from unidino.core.log import log
from unidino.embeddings.embedder import Encoded
from unidino.embeddings.tables import DICTIONARY_COLUMNS, embedding_table
from unidino.lake.lake import Lake
from unidino.lake.parts import Part, Parts, carried, current
from unidino.lake.runs import Run
from unidino.models.kinds import CELLS

_FIELD = 1  # a well is one row, whatever its fields


def embed_counts(
    lake: Lake, run: Run, model: str, plates: Sequence[str], *, overwrite: bool
) -> tuple[list[str], list[str], int]:
    """Plates whose counts became vectors of one number, plates that were current, and wells.

    Plates without any num_cells are left out, which is said.
    Raises InputError if no plate has num_cells.
    """
    done, skipped, num_wells = [], [], 0
    without = []
    parts = Parts(lake, run)
    for plate in plates:
        wells = lake.look_up(
            "select well, num_cells from well where plate = $plate and num_cells is not null"
            " order by well",
            {"plate": plate},
        )
        if wells.is_empty():
            without.append(plate)
            continue
        inputs = digest(model, wells.rows())
        part = Part(f"embeddings/{model}/{plate}.parquet", "embedding", model, inputs, plate=plate)
        if current(lake, part.uri, inputs) and not overwrite:
            skipped.append(plate)
            continue
        rows = [
            {"plate": plate, "well": w, "field": _FIELD, "channel": CELLS, "channel_index": 0}
            for w in wells["well"]
        ]
        means = wells["num_cells"].to_numpy().astype(np.float32)[:, None]
        table = embedding_table(model, Encoded(rows, means, np.ones(len(rows), np.int32)))
        with parts.writing(part, len(rows)) as path:
            pq.write_table(
                table.replace_schema_metadata(carried(part)),
                path,
                compression="none",
                use_dictionary=list(DICTIONARY_COLUMNS),
            )
        done.append(plate)
        num_wells += len(rows)
    if not done and not skipped:
        raise InputError(
            "no well has num_cells; count cells by `unidino count-cells`, or import a table that"
            " has them (`unidino import-profiles --objects`, or a column num_cells)"
        )
    parts.land()
    if without:
        log.warning(f"{len(without)} plates have no num_cells, such as {without[0]}")
    return done, skipped, num_wells
