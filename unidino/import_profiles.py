"""Features that others computed, imported as a model: levels and scores work on them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino import assets, wide
from unidino.catalog import (
    Connection,
    Lake,
    Run,
    digest,
    file_sha256,
    first_row,
    insert,
    quoted,
    scratch,
    written_beside,
)  # fmt: skip
from unidino.datasets import manifest, tables
from unidino.errors import InputError, ModelError, choose
from unidino.model import ModelConfig
from unidino.progress import say
from unidino.registry import IMPORTED, load_config, model_names, register

WELL_LEVELS = ("well", "field")
OTHER_LEVELS = ("treatment", "compound")


@dataclass(frozen=True)
class Imported:
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


def import_profiles(
    lake: Lake,
    file: Path,
    model: str,
    *,
    dataset: str | None = None,
    mapped: Mapping[str, str] | None = None,
    features: str | None = None,
    metadata: Sequence[Path] = (),
    level: str = "well",
    negcon: str = "DMSO",
) -> Imported:
    """Register a wide table's features as the profiles of a model; again with other plates adds.

    file: CSV, TSV, Parquet, Arrow or AnnData. dataset: default: that of registered plates, or the
    file's name. mapped: see `wide.parse_map`. features: regular expression of their names.
    metadata: tables that are joined. level: well or field, or treatment or compound for tables
    without wells. negcon: the compound that is the negative control where no control_type says.
    Raises InputError, and lands nothing, if a row or a name is not as it must be.
    """
    choose("level", level, (*WELL_LEVELS, *OTHER_LEVELS))
    run = Run("import-profiles", {"file": file, "model": model, "level": level,
                                  "map": dict(mapped or {})})  # fmt: skip
    con = scratch()
    try:
        names, values, found = wide.read(con, "_rows", file, mapped or {}, features)
        for table in metadata:
            tables.load(con, "joined", [table])
            found |= wide.rename(con, "joined", mapped or {})
            _one_row_a_key(con, "joined")
            say(tables.join(con, "_rows", "joined", table.name))
        wide.compute(con, "_rows", {k: v for k, v in (mapped or {}).items() if k not in found})
        # Joins may turn the rows over; the vectors are in the file's order.
        con.execute("create or replace table _rows as from _rows order by _line")
        _check_level(con, level, file)
        manifest.check_metadata(con, "_rows", file)
        config = _config(lake, model, names)
        num_missing = int(np.isnan(values).sum())
        default = dataset or tables.stem(file)
        known = lake.look_up("select plate_id, dataset from plate").to_arrow()
        con.register("known", known)
        con.execute(f"create table manifest as {assets.sql('queries', 'imported_well')}",
                    {"dataset": default, "negcon": negcon, "level": level})  # fmt: skip
        if level in WELL_LEVELS:
            _check_wells(con, file)
            return _land_wells(
                lake, run, con, model, config, names, values, level, num_missing, default
            )
        return _land_level(
            lake, run, con, model, config, names, values, level, num_missing, default
        )
    finally:
        con.close()


def _one_row_a_key(con: Connection, table: str) -> None:
    """Of a table with a row for each image: what the images of a well agree on."""
    have = tables.columns(con, table)
    if not {"plate", "well"} <= set(have):
        return
    others = [c for c in have if c not in ("plate", "well")]
    agreed = "".join(f", agreed({quoted(c)}) as {quoted(c)}" for c in others)
    con.execute(
        f"create table _collapsed as select plate, well{agreed}, min(_line) as _line,"
        f" min(_file) as _file from {quoted(table)} group by plate, well"
    )
    con.execute(f"drop table {quoted(table)}")
    con.execute(f"alter table _collapsed rename to {quoted(table)}")


def _check_level(con: Connection, level: str, file: Path) -> None:
    have = tables.columns(con, "_rows")
    needed = ("plate", "well") if level in WELL_LEVELS else ("compound",)
    for column in (*needed, *(("field",) if level == "field" else ())):
        if column not in have:
            shown = ", ".join(have[:12]) or "none"
            hint = (
                "" if level in OTHER_LEVELS else ", or --level compound for a table without wells"
            )
            raise InputError(
                f"'{file}' has no column for the {column} (it has {shown}); name it by --map"
                f" {column}=ITS_NAME{hint}"
            )


def _check_wells(con: Connection, file: Path) -> None:
    for name in ("manifest_well", "manifest_name"):
        found = manifest.check(con, name)
        if found:
            _, place, _, problem = found[0]
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise InputError(f"{place}: {problem}{more}")
    twice = first_row(
        con,
        "select plate, well, field, min(line), max(line) from manifest group by all"
        " having count(*) > 1 order by all limit 1",
    )
    if twice:
        raise InputError(
            f"'{file}' has two rows for plate {twice[0]}, well {twice[1]} (rows {twice[3]} and"
            f" {twice[4]}); aggregate them first, or pass --level field with a column for the field"
        )


def _config(lake: Lake, model: str, names: list[str]) -> ModelConfig:
    """Of the model that is there, if it has these features, or a new one."""
    config = ModelConfig(kind="imported", num_dims=len(names), features=tuple(names))
    if model in model_names(lake):
        there = load_config(lake, model)
        if there.kind != "imported":
            raise ModelError(f"model '{model}' was not imported; choose another --model")
        if there.features != config.features:
            raise ModelError(
                f"model '{model}' has {len(there.features)} features, the table {len(names)}"
                " or others; choose another --model, or the same columns by --features"
            )
    return config


def _land_wells(
    lake: Lake, run: Run, con: Connection, model: str, config: ModelConfig, names: list[str],
    values: NDArray[np.float64], level: str, num_missing: int, dataset: str,
) -> Imported:  # fmt: skip
    """Write a file for each plate; register plates and wells that the lake does not know."""
    if model not in model_names(lake):
        register(lake, run, model, config, None)
    con.register("registered", lake.look_up("select plate, well from well").to_arrow())
    (unknown,) = first_row(
        con, "select count(*) from manifest where is_known and not exists (from registered"
        " where registered.plate = manifest.plate and registered.well = manifest.well)"
    )  # fmt: skip
    dropped = {"well_not_registered": int(unknown)} if unknown else {}
    rows = con.sql(
        "select manifest.* from manifest left join registered using (plate, well)"
        " where not is_known or registered.plate is not null order by plate, well, field"
    ).to_arrow_table()
    if not rows.num_rows:
        raise InputError("no well of the table is registered in the lake, whose plates it names")
    parts: dict[str, dict[str, Any]] = {}
    plates = rows["plate"].to_numpy(zero_copy_only=False)
    for plate in dict.fromkeys(plates.tolist()):
        own = rows.filter(pa.array(plates == plate))
        uri = f"embeddings/{model}/{plate}.parquet"
        vectors = values[own["line"].to_numpy() - 1]
        table = pa.table({
            "model": [model] * own.num_rows, "plate": own["plate"], "well": own["well"],
            "field": own["field"].cast(pa.int32()),
            "channel_index": pa.array(np.zeros(own.num_rows, np.int32)),
            "channel": [IMPORTED] * own.num_rows,
            "num_crops": pa.array(np.ones(own.num_rows, np.int32)), "embedding": _lists(vectors),
        })  # fmt: skip
        _write(lake, uri, table)
        parts[uri] = {"uri": uri, "kind": "embedding", "model": model, "plate": plate,
                      "num_rows": own.num_rows, "sha256": file_sha256(lake.resolve(uri)),
                      "inputs_hash": digest(vectors.tobytes().hex()), "run_id": run.run_id,
                      "details": json.dumps({"level": level})}  # fmt: skip
    new = rows.filter(pa.array(~np.asarray(rows["is_known"])))
    landed = [
        {"plate": part["plate"], "uri": None, "fingerprint": part["inputs_hash"],
         "content_hash": digest("imported", part["plate"]), "run_id": run.run_id}
        for part in parts.values()
        if part["plate"] in set(new["plate"].to_pylist())
    ]  # fmt: skip
    with lake.write() as catalog:
        run.record(catalog)
        if landed:
            catalog.register("manifest", new)
            catalog.register("landed", pa.Table.from_pylist(landed))
            catalog.register("measured", new.select(["plate", "well", "field", "channel_index"]))
            for table_name in ("well", "plate"):
                catalog.execute(
                    f"insert into {table_name} by name {assets.sql('register', table_name)}"
                )
        insert(catalog, "part", list(parts.values()), replace=True)
    named = lake.look_up("select distinct dataset from plate where list_contains($p, plate_id)",
                         {"p": list(dict.fromkeys(plates.tolist()))})  # fmt: skip
    return Imported(
        model, ", ".join(sorted(named["dataset"])), level, rows.num_rows, len(names), len(parts),
        len(landed), num_missing, dropped,
    )  # fmt: skip


def _land_level(
    lake: Lake, run: Run, con: Connection, model: str, config: ModelConfig, names: list[str],
    values: NDArray[np.float64], level: str, num_missing: int, dataset: str,
) -> Imported:  # fmt: skip
    """Write profiles as they are: there are no wells to normalize or average."""
    (nameless,) = first_row(con, "select count(*) from manifest where compound is null")
    con.execute("create table member as select *, line - 1 as row_id, ['features'] as channels"
                " from manifest where compound is not null")  # fmt: skip
    rows = con.sql(assets.sql("queries", "level_profile"), params={"level": level}).to_arrow_table()
    members = rows["row_ids"].to_pylist()
    if any(len(m) > 1 for m in members):
        twice = next(m for m in members if len(m) > 1)
        raise InputError(
            f"rows {twice[0] + 1} and {twice[1] + 1} are of one {level}; aggregate them first"
        )
    if model in model_names(lake):
        raise ModelError(f"there is a model '{model}' already; choose another --model")
    register(lake, run, model, config, None)
    uri = f"profiles/{model}/none/{level}/{dataset}.parquet"
    schema = assets.arrow_schema("profile")
    named = {"model": model, "normalization": "none", "level": level, "dataset": dataset}
    vectors = values[[m[0] for m in members]] if members else values[:0]
    columns = {
        name: pa.array([named[name]] * rows.num_rows, pa.string()) if name in named
        else _lists(vectors) if name == "embedding" else rows[name].cast(schema.field(name).type)
        for name in schema.names
    }  # fmt: skip
    _write(lake, uri, pa.table(columns))
    sha256 = file_sha256(lake.resolve(uri))
    dropped = {"no_compound": int(nameless)} if nameless else {}
    with lake.write() as catalog:
        run.record(catalog)
        insert(catalog, "part", [
            {"uri": uri, "kind": "profile", "model": model, "dataset": dataset, "level": level,
             "normalization": "none", "num_rows": rows.num_rows, "sha256": sha256,
             "inputs_hash": sha256, "dropped": json.dumps(dropped),
             "details": json.dumps({"features": names}), "run_id": run.run_id}
        ])  # fmt: skip
    return Imported(model, dataset, level, rows.num_rows, len(names), 0, 0, num_missing, dropped)


def _lists(vectors: NDArray[np.float64]) -> pa.Array:
    """Vectors (N, D) as a column of lists of float64."""
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(vectors).ravel()))


def _write(lake: Lake, uri: str, table: pa.Table) -> None:
    with written_beside(lake.resolve(uri)) as path:
        pq.write_table(table, path, compression="zstd", use_dictionary=["plate", "well"])
