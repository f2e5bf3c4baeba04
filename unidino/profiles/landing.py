"""Landing of imported features: one part per plate, or one part for a table without wells.

Shapes: N rows of a table, D features.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.account import ends_of
from unidino.core.errors import InputError, ModelError
from unidino.core.files import digest
from unidino.core.results import Result
from unidino.core.sql import Connection, first_row, scratch
from unidino.core.vectors import vector_column
from unidino.lake.catalog import Landing
from unidino.lake.lake import Lake
from unidino.lake.parts import Part, Parts, carried, is_whole_part
from unidino.lake.records import keep_plate, remove_unregistered
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.kinds import IMPORTED
from unidino.models.registry import model_names, register
from unidino.profiles.cells import fill_counts, write_cells
from unidino.profiles.files import write_profiles
from unidino.profiles.objects import Objects


@dataclass(frozen=True)
class Imported(Result):
    """The rows, features and plates that an import landed.

    num_rows: rows of the table that landed. num_new_plates: plates that were not in the lake.
    num_missing: missing or infinite values of the table. dropped: rows that did not land: reason
    and count. features: their names. left_out: columns of numbers that are no features. extra:
    columns that are kept with new wells. account: what was understood of the table, as texts by
    topic. num_cells: cells, if the table has a row for each.
    """

    model: str
    dataset: str
    level: str
    num_rows: int
    num_features: int
    num_plates: int
    num_new_plates: int
    num_missing: int
    dropped: dict[str, int]
    features: tuple[str, ...] = field(default=(), repr=False)
    left_out: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    account: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    num_cells: int | None = field(default=None, repr=False)

    @property
    def frame(self) -> pl.DataFrame:
        """The result as a table of one row; of many features the first and last three."""
        return super().frame.with_columns(features=pl.lit(ends_of(self.features)))


@dataclass(frozen=True)
class ImportedTable:
    """A table that was read, and the model and dataset that it is imported as.

    con: has the table `manifest`; its column `line` is the row in `values`, counted from 1.
    values: (N, D). left_out, extra: see `Imported`. objects: what the values were aggregated of, if
    the table has a row for each cell. keep_cells: single cells become parts too.
    """

    lake: Lake
    run: Run
    con: Connection
    model: str
    config: ModelConfig
    values: NDArray[np.float64]
    level: str
    dataset: str
    left_out: tuple[str, ...]
    extra: tuple[str, ...]
    objects: Objects | None = None
    keep_cells: bool = False

    def landed(
        self,
        num_rows: int,
        dropped: dict[str, int],
        *,
        dataset: str = "",
        num_plates: int = 0,
        num_new_plates: int = 0,
    ) -> Imported:
        """The result of the import, with the counts of the whole table."""
        return Imported(
            self.model,
            dataset or self.dataset,
            self.level,
            num_rows,
            self.values.shape[1],
            num_plates,
            num_new_plates,
            int((~np.isfinite(self.values)).sum()),
            dropped,
            self.config.features,
            self.left_out,
            self.extra,
            self.run.account.as_json(),
            None if self.objects is None else int(self.objects.counts.sum()),
        )

    def with_vectors(self, rows: pa.Table) -> pa.Table:
        """The rows of the manifest that have a vector: all, but those without any cell."""
        if self.objects is None:
            return rows
        return rows.filter(pa.array(self.objects.counts[rows["line"].to_numpy() - 1] > 0))

    def register_model(self) -> None:
        """Register the model if it is not in the lake yet."""
        if self.model not in model_names(self.lake):
            register(self.lake, self.run, self.model, self.config, None)


def rows_to_land(table: ImportedTable) -> tuple[pa.Table, dict[str, int]]:
    """Rows of a table of wells that an import lands; reason and count of those that it leaves out.

    Raises InputError if none is left.
    """
    con = table.con
    con.register("registered", table.lake.look_up("select plate, well from well").to_arrow())
    rows = con.sql(
        "select manifest.* from manifest left join registered using (plate, well)"
        " where not is_known or registered.plate is not null order by plate, well, field"
    ).to_arrow_table()
    if not rows.num_rows:
        raise InputError("the plates of the table are in the lake, but none of its wells is")
    num_unknown = first_row(con, "select count(*) from manifest")[0] - rows.num_rows
    return rows, {"well_not_registered": num_unknown} if num_unknown else {}


def land_wells(table: ImportedTable) -> Imported:
    """The result of an import: a part for each plate; new plates and wells are registered."""
    lake = table.lake
    rows, dropped = rows_to_land(table)
    table.register_model()
    plates = rows["plate"].to_numpy(zero_copy_only=False)
    new = rows.filter(pa.array(~np.asarray(rows["is_known"])))
    new_plates = set(new["plate"].to_pylist())
    parts, landed = Parts(lake, table.run), []
    names = list(dict.fromkeys(plates.tolist()))
    for plate in names:
        on_plate = table.with_vectors(rows.filter(pa.array(plates == plate)))
        vectors = table.values[on_plate["line"].to_numpy() - 1]
        uri = f"embeddings/{table.model}/{plate}.parquet"
        inputs = hashlib.sha256(vectors).hexdigest()
        part = Part(uri, "embedding", table.model, inputs, plate=plate)
        details = {"level": table.level}
        with parts.writing(part, on_plate.num_rows, details=details) as path:
            embeddings = _embeddings(table.model, on_plate, vectors)
            embeddings = embeddings.replace_schema_metadata(carried(part, details=details))
            pq.write_table(embeddings, path, compression="zstd", use_dictionary=["plate", "well"])
        if plate in new_plates:
            landed.append(
                {
                    "plate": plate,
                    "uri": None,
                    "fingerprint": inputs,
                    "content_hash": digest("imported", plate),
                    "run_id": table.run.run_id,
                }
            )
        if table.objects and table.keep_cells:
            write_cells(table.con, parts, table.model, plate, table.objects.columns)

    def register_rows(landing: Landing) -> None:
        _register_plates(lake, landing, new, landed)
        if table.objects:
            known = set(names) - {row["plate"] for row in landed}
            fill_counts(lake, landing, rows, sorted(known))

    parts.land(also=register_rows)
    remove_unregistered(lake, names if table.objects else [row["plate"] for row in landed])
    datasets = lake.look_up(
        "select distinct dataset from plate where list_contains($plates, plate_id) order by all",
        {"plates": names},
    )["dataset"]
    return table.landed(
        rows.num_rows,
        dropped,
        dataset=", ".join(datasets),
        num_plates=len(names),
        num_new_plates=len(landed),
    )


def _register_plates(
    lake: Lake, landing: Landing, rows: pa.Table, landed: list[dict[str, Any]]
) -> None:
    """Insert plates and wells, and delete earlier rows of the same plates.

    rows: of the manifest. landed: rows that the queries of `sql/register` read.
    """
    if not landed:
        return
    plates = [row["plate"] for row in landed]
    with closing(scratch(assets.texts("register"))) as con:
        con.register("manifest", rows)
        con.register("landed", pa.Table.from_pylist(landed))
        con.register("landed_image", rows)
        landing.forget("well", "plate", plates)
        landing.put("well", con.sql(assets.sql("register", "well")).to_arrow_table())
        of_plates = con.sql(assets.sql("register", "plate")).to_arrow_table()
        landing.put("plate", of_plates, instead_of="plate_id")
    for plate in plates:
        keep_plate(lake, landing, plate, [])


def _embeddings(model: str, rows: pa.Table, vectors: NDArray[np.float64]) -> pa.Table:
    """Rows of one channel each, as in `schemas/embedding.arrow.json`, but with float64 vectors."""
    num = rows.num_rows
    return pa.table(
        {
            "model": [model] * num,
            "plate": rows["plate"],
            "well": rows["well"],
            "field": rows["field"].cast(pa.int32()),
            "channel_index": pa.array(np.zeros(num, np.int32)),
            "channel": [IMPORTED] * num,
            "num_crops": pa.array(np.ones(num, np.int32)),
            "embedding": vector_column(vectors),
        }
    )


def _is_damaged(lake: Lake, uri: str) -> bool:
    """Whether a part is registered, but its file is not whole."""
    known = lake.look_up("select uri from part where uri = $uri", {"uri": uri})
    return not known.is_empty() and not is_whole_part(lake, uri)


def land_level(table: ImportedTable) -> Imported:
    """The result of an import without wells: the rows are written as profiles, unchanged."""
    con, level = table.con, table.level
    (nameless,) = first_row(con, "select count(*) from manifest where compound is null")
    con.execute(
        f"create table member as select *, line - 1 as row_id, ['{IMPORTED}'] as channels"
        " from manifest where compound is not null"
    )
    rows = con.sql(assets.sql("queries", "level_profile"), params={"level": level}).to_arrow_table()
    rows = rows.sort_by("profile_id")
    members = rows["row_ids"].to_pylist()
    if twice := next((m for m in members if len(m) > 1), None):
        raise InputError(
            f"rows {twice[0] + 1} and {twice[1] + 1} have the same {level}; aggregate them first"
        )
    uri = f"profiles/{table.model}/none/{level}/{table.dataset}.parquet"
    if table.model in model_names(table.lake) and not _is_damaged(table.lake, uri):
        raise ModelError(f"the lake has a model '{table.model}' already; choose another --model")
    if not members:
        raise InputError(f"no row of the table has a compound, which profiles of a {level} need")
    table.register_model()
    named = {
        "model": table.model,
        "normalization": "none",
        "level": level,
        "dataset": table.dataset,
    }
    vectors = table.values[[row_ids[0] for row_ids in members]]
    dropped = {"no_compound": int(nameless)} if nameless else {}
    part = Part(uri, "profile", table.model, None, table.dataset, normalization="none", level=level)
    parts = Parts(table.lake, table.run)
    features = {"features": list(table.config.features)}
    with parts.writing(part, rows.num_rows, dropped=dropped, details=features) as path:
        told = carried(part, dropped=dropped, details=features)
        write_profiles(path, rows, vectors, named, exact=True, told=told)
    parts.land()
    return table.landed(rows.num_rows, dropped)
