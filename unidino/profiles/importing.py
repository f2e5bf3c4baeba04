"""Features that others computed, imported as a model: levels and scores work on them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, ModelError, choose
from unidino.core.files import digest, file_sha256, written_beside
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, insert, quoted, scratch
from unidino.lake.lake import Lake
from unidino.lake.parts import land_parts, part_rows
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.registry import IMPORTED, load_config, model_names, register
from unidino.plates import manifest, tables
from unidino.profiles import wide

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
    overwrite: bool = False,
) -> Imported:
    """Register a wide table's features as the profiles of a model; again with other plates adds.

    file: CSV, TSV, Parquet, Arrow or AnnData. dataset: default: that of registered plates, or the
    file's name. mapped: see `wide.parse_map`. features: regular expression of their names.
    metadata: tables that are joined. level: well or field, or treatment or compound for tables
    without wells. negcon: the compound that is the negative control where no control_type says.
    overwrite: plates without images get the wells and annotation of this table.
    Raises InputError, and lands nothing, if a row or a name is not as it must be.
    """
    choose("level", level, (*WELL_LEVELS, *OTHER_LEVELS))
    mapped = mapped or {}
    run = Run("import-profiles", {"file": file, "model": model, "level": level, "map": mapped})
    con = scratch()
    try:
        names, values, found = wide.read(con, "_rows", file, mapped, features)
        for table in metadata:
            tables.load(con, "joined", [table])
            found |= wide.rename(con, "joined", mapped)
            _one_row_a_key(con, "joined")
            log.warning(tables.join(con, "_rows", "joined", table.name))
        wide.compute(con, "_rows", {k: v for k, v in mapped.items() if k not in found})
        # Joins may turn the rows over; the vectors are in the file's order.
        con.execute("create or replace table _rows as from _rows order by _line")
        _check_level(con, level, file)
        manifest.check_metadata(con, "_rows", file)
        own = _Table(
            lake,
            run,
            con,
            model,
            _config(lake, model, names),
            values,
            level,
            dataset or tables.stem(file),
        )
        con.register("known", _known_plates(lake, overwrite=overwrite))
        con.execute(
            f"create table manifest as {assets.sql('queries', 'imported_well')}",
            {"dataset": own.dataset, "negcon": negcon, "level": level},
        )
        if level in OTHER_LEVELS:
            return _land_level(own)
        _check_wells(con, file)
        _say_known(con, dataset)
        return _land_wells(own)
    finally:
        con.close()


@dataclass(frozen=True)
class _Table:
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

    def imported(
        self,
        num_rows: int,
        dropped: dict[str, int],
        *,
        dataset: str = "",
        num_plates: int = 0,
        num_new_plates: int = 0,
    ) -> Imported:
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
        if self.model not in model_names(self.lake):
            register(self.lake, self.run, self.model, self.config, None)


def _known_plates(lake: Lake, *, overwrite: bool) -> pa.Table:
    """Plates that keep what the lake says of them: those with images if others are replaced."""
    query = "select plate_id, dataset, uri is null as is_bare from plate"
    if overwrite:
        query += " where plate_id in (select plate from image)"
    return lake.look_up(query).to_arrow()


def _say_known(con: Connection, dataset: str | None) -> None:
    """Say which plates keep their wells and annotation, whatever the table says of them.

    Raises InputError if they belong to another dataset than the one that was given.
    """
    known = con.execute(
        "select any_value(plate order by plate), known.dataset, count(distinct plate),"
        " bool_or(known.is_bare) from manifest inner join known on plate = known.plate_id"
        " group by known.dataset order by 2"
    ).fetchall()
    for plate, own, num, is_bare in known:
        if dataset is not None and own != dataset:
            raise InputError(
                f"plate '{plate}' belongs to dataset '{own}'; pass --dataset {own}, or name plates"
                f" apart by --map \"plate='{dataset}_' || plate\""
            )
        hint = "; --overwrite replaces it" if is_bare else ""
        log.warning(
            f"{num} plates are in the lake already (dataset {own}): their wells keep the annotation"
            f" that they have{hint}"
        )


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


def _land_wells(own: _Table) -> Imported:
    """Write a file for each plate; register plates and wells that the lake does not know."""
    con = own.con
    con.register("registered", own.lake.look_up("select plate, well from well").to_arrow())
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
    own.register_model()
    parts = {}
    plates = rows["plate"].to_numpy(zero_copy_only=False)
    for plate in dict.fromkeys(plates.tolist()):
        on_plate = rows.filter(pa.array(plates == plate))
        vectors = own.values[on_plate["line"].to_numpy() - 1]
        uri = f"embeddings/{own.model}/{plate}.parquet"
        _write(own.lake, uri, _embeddings(own.model, on_plate, vectors))
        parts[uri] = {
            "kind": "embedding",
            "model": own.model,
            "plate": plate,
            "num_rows": on_plate.num_rows,
            "inputs_hash": hashlib.sha256(vectors).hexdigest(),
            "details": json.dumps({"level": own.level}),
        }
    new = rows.filter(pa.array(~np.asarray(rows["is_known"])))
    new_plates = set(new["plate"].to_pylist())
    landed = [
        {
            "plate": part["plate"],
            "uri": None,
            "fingerprint": part["inputs_hash"],
            "content_hash": digest("imported", part["plate"]),
            "run_id": own.run.run_id,
        }
        for part in parts.values()
        if part["plate"] in new_plates
    ]
    described = part_rows(own.lake, own.run, parts)
    with own.lake.write() as catalog:
        own.run.record(catalog)
        if landed:
            for name, column in (("well", "plate"), ("plate", "plate_id")):
                catalog.execute(
                    f"delete from {name} where list_contains($plates, {column})",
                    {"plates": sorted(new_plates)},
                )
            catalog.register("manifest", new)
            catalog.register("landed", pa.Table.from_pylist(landed))
            catalog.register("measured", new.select(["plate", "well", "field", "channel_index"]))
            for name in ("well", "plate"):
                catalog.execute(f"insert into {name} by name {assets.sql('register', name)}")
        insert(catalog, "part", described, replace=True)
    datasets = own.lake.look_up(
        "select distinct dataset from plate where list_contains($plates, plate_id) order by all",
        {"plates": list(dict.fromkeys(plates.tolist()))},
    )["dataset"]
    return own.imported(
        rows.num_rows,
        {"well_not_registered": int(unknown)} if unknown else {},
        dataset=", ".join(datasets),
        num_plates=len(parts),
        num_new_plates=len(landed),
    )


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
            "embedding": _lists(vectors),
        }
    )


def _land_level(own: _Table) -> Imported:
    """Write profiles as they are: there are no wells to normalize or average."""
    con, level = own.con, own.level
    (nameless,) = first_row(con, "select count(*) from manifest where compound is null")
    con.execute(
        "create table member as select *, line - 1 as row_id, ['features'] as channels"
        " from manifest where compound is not null"
    )
    rows = con.sql(assets.sql("queries", "level_profile"), params={"level": level}).to_arrow_table()
    members = rows["row_ids"].to_pylist()
    if any(len(m) > 1 for m in members):
        twice = next(m for m in members if len(m) > 1)
        raise InputError(
            f"rows {twice[0] + 1} and {twice[1] + 1} are of one {level}; aggregate them first"
        )
    if own.model in model_names(own.lake):
        raise ModelError(f"there is a model '{own.model}' already; choose another --model")
    if not members:
        raise InputError(f"no row of the table names a compound, which a {level} needs")
    own.register_model()
    uri = f"profiles/{own.model}/none/{level}/{own.dataset}.parquet"
    schema = assets.arrow_schema("profile")
    named = {"model": own.model, "normalization": "none", "level": level, "dataset": own.dataset}
    columns = {
        name: pa.array([named[name]] * rows.num_rows, pa.string())
        if name in named
        else _lists(own.values[[m[0] for m in members]])
        if name == "embedding"
        else rows[name].cast(schema.field(name).type)
        for name in schema.names
    }
    _write(own.lake, uri, pa.table(columns))
    dropped = {"no_compound": int(nameless)} if nameless else {}
    sha256 = file_sha256(own.lake.resolve(uri))
    land_parts(
        own.lake,
        own.run,
        {
            uri: named
            | {
                "kind": "profile",
                "num_rows": rows.num_rows,
                "inputs_hash": sha256,
                "dropped": json.dumps(dropped),
                "details": json.dumps({"features": list(own.config.features)}),
            }
        },
    )
    return own.imported(rows.num_rows, dropped)


def _lists(vectors: NDArray[np.float64]) -> pa.Array:
    """Vectors (N, D) as a column of lists of float64."""
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(vectors).ravel()))


def _write(lake: Lake, uri: str, table: pa.Table) -> None:
    with written_beside(lake.resolve(uri)) as path:
        pq.write_table(table, path, compression="zstd", use_dictionary=["plate", "well"])
