"""How imported features land: a part for each plate, or one of profiles for tables without wells.

Shapes: N rows of a table, D features.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, ModelError
from unidino.core.files import digest
from unidino.core.results import Result
from unidino.core.sql import Connection, first_row
from unidino.core.vectors import vector_column
from unidino.lake.lake import Lake
from unidino.lake.parts import Part, Parts
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.kinds import IMPORTED
from unidino.models.registry import model_names, register


@dataclass(frozen=True)
class Imported(Result):
    """What an import landed.

    num_rows: of the table that landed. num_new_plates: that the lake did not know. num_missing:
    values of the table that are missing. dropped: rows that did not land: reason and count.
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


@dataclass(frozen=True)
class ImportedTable:
    """What was read, and where it goes.

    con: has the table `manifest`, whose `line` counts the rows of values, (N, D), from 1.
    """

    lake: Lake
    run: Run
    con: Connection
    model: str
    config: ModelConfig
    values: NDArray[np.float64]
    level: str
    dataset: str

    def landed(
        self,
        num_rows: int,
        dropped: dict[str, int],
        *,
        dataset: str = "",
        num_plates: int = 0,
        num_new_plates: int = 0,
    ) -> Imported:
        """What landed, with the figures of the whole table."""
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
        )

    def register_model(self) -> None:
        """Register the model unless the lake has it."""
        if self.model not in model_names(self.lake):
            register(self.lake, self.run, self.model, self.config, None)


def land_wells(table: ImportedTable) -> Imported:
    """Write a part for each plate; register plates and wells that the lake does not know."""
    lake, con = table.lake, table.con
    con.register("registered", lake.look_up("select plate, well from well").to_arrow())
    (unknown,) = first_row(
        con,
        "select count(*) from manifest where is_known and not exists (from registered"
        " where registered.plate = manifest.plate and registered.well = manifest.well)",
    )
    rows = con.sql(
        "select manifest.* from manifest left join registered using (plate, well)"
        " where not is_known or registered.plate is not null order by plate, well, field"
    ).to_arrow_table()
    if not rows.num_rows:
        raise InputError("no well of the table is registered in the lake, whose plates it names")
    table.register_model()
    plates = rows["plate"].to_numpy(zero_copy_only=False)
    new = rows.filter(pa.array(~np.asarray(rows["is_known"])))
    new_plates = set(new["plate"].to_pylist())
    parts, landed = Parts(lake, table.run), []
    names = list(dict.fromkeys(plates.tolist()))
    for plate in names:
        on_plate = rows.filter(pa.array(plates == plate))
        vectors = table.values[on_plate["line"].to_numpy() - 1]
        uri = f"embeddings/{table.model}/{plate}.parquet"
        inputs = hashlib.sha256(vectors).hexdigest()
        part = Part(uri, "embedding", table.model, inputs, plate=plate)
        details = {"level": table.level}
        with parts.writing(part, on_plate.num_rows, details=details) as path:
            _write(path, _embeddings(table.model, on_plate, vectors))
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
    parts.land(also=lambda catalog: _register_plates(catalog, new, landed))
    datasets = lake.look_up(
        "select distinct dataset from plate where list_contains($plates, plate_id) order by all",
        {"plates": names},
    )["dataset"]
    return table.landed(
        rows.num_rows,
        {"well_not_registered": int(unknown)} if unknown else {},
        dataset=", ".join(datasets),
        num_plates=len(names),
        num_new_plates=len(landed),
    )


def _register_plates(catalog: Connection, rows: pa.Table, landed: list[dict[str, Any]]) -> None:
    """Insert plates and wells, in place of those of the same names.

    rows: of the manifest. landed: rows that the queries of `sql/register` read.
    """
    if not landed:
        return
    for name, column in (("well", "plate"), ("plate", "plate_id")):
        catalog.execute(
            f"delete from {name} where list_contains($plates, {column})",
            {"plates": [row["plate"] for row in landed]},
        )
    catalog.register("manifest", rows)
    catalog.register("landed", pa.Table.from_pylist(landed))
    catalog.register("landed_image", rows)
    for name in ("well", "plate"):
        catalog.execute(f"insert into {name} by name {assets.sql('register', name)}")


def _embeddings(model: str, rows: pa.Table, vectors: NDArray[np.float64]) -> pa.Table:
    """Rows of `schemas/embedding.arrow.json`, in float64, one channel each."""
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


def land_level(table: ImportedTable) -> Imported:
    """Write profiles as they are: there are no wells to normalize or average."""
    con, level = table.con, table.level
    (nameless,) = first_row(con, "select count(*) from manifest where compound is null")
    con.execute(
        f"create table member as select *, line - 1 as row_id, ['{IMPORTED}'] as channels"
        " from manifest where compound is not null"
    )
    rows = con.sql(assets.sql("queries", "level_profile"), params={"level": level}).to_arrow_table()
    members = rows["row_ids"].to_pylist()
    if twice := next((m for m in members if len(m) > 1), None):
        raise InputError(
            f"rows {twice[0] + 1} and {twice[1] + 1} are of one {level}; aggregate them first"
        )
    if table.model in model_names(table.lake):
        raise ModelError(f"there is a model '{table.model}' already; choose another --model")
    if not members:
        raise InputError(f"no row of the table names a compound, which a {level} needs")
    table.register_model()
    named = {
        "model": table.model,
        "normalization": "none",
        "level": level,
        "dataset": table.dataset,
    }
    schema = assets.arrow_schema("profile")
    values = rows.append_column("embedding", vector_column(table.values[[m[0] for m in members]]))
    columns = {
        name: pa.array([named[name]] * rows.num_rows, pa.string())
        if name in named
        else values[name]
        if name == "embedding"
        else values[name].cast(schema.field(name).type)
        for name in schema.names
    }
    dropped = {"no_compound": int(nameless)} if nameless else {}
    uri = f"profiles/{table.model}/none/{level}/{table.dataset}.parquet"
    part = Part(uri, "profile", table.model, None, table.dataset, normalization="none", level=level)
    parts = Parts(table.lake, table.run)
    features = {"features": list(table.config.features)}
    with parts.writing(part, rows.num_rows, dropped=dropped, details=features) as path:
        _write(path, pa.table(columns))
    parts.land()
    return table.landed(rows.num_rows, dropped)


def _write(path: Any, table: pa.Table) -> None:
    pq.write_table(table, path, compression="zstd", use_dictionary=["plate", "well"])
