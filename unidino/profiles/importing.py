"""Import of features that other programs computed, as profiles of a model.

Shapes: N rows of a table, D features.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import pyarrow as pa

from unidino.core import assets
from unidino.core.choices import Aggregation, OtherLevel, WellLevel
from unidino.core.errors import InputError, ModelError, choose
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, scratch
from unidino.core.stopping import temporary_folder
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.registry import load_config, model_names
from unidino.plates import manifest, tables
from unidino.plates.content import say_negcon, say_wells
from unidino.plates.identifiers import clean_identifiers, refuse_unknown_wells
from unidino.plates.joining import join
from unidino.plates.meaning import OF_IMAGES, Reading
from unidino.plates.odd_names import say_odd_plates
from unidino.plates.plate_names import RENAMING
from unidino.plates.wells import one_row_a_well
from unidino.profiles import wide
from unidino.profiles.landing import (
    Imported,
    ImportedTable,
    land_level,
    land_wells,
    rows_to_land,
)
from unidino.profiles.objects import read_objects

_WELL_LEVELS = get_args(WellLevel)
_OTHER_LEVELS = get_args(OtherLevel)


def import_profiles(
    lake: Lake,
    file: Path | str | Sequence[Path | str],
    model: str,
    *,
    dataset: str | None = None,
    mapped: Mapping[str, str] | None = None,
    features: str | None = None,
    layer: str | None = None,
    metadata: Sequence[Path] = (),
    level: str = "well",
    negcon: str = "DMSO",
    unit: str | None = None,
    objects: bool = False,
    aggregate: Aggregation = "median",
    keep_cells: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
) -> Imported:
    """The rows, features and plates that were imported from a wide table, as profiles of a model.

    More plates can be imported for the same model later.
    file: CSV, TSV, Parquet, Arrow or AnnData. dataset: default: that of registered plates, or the
    file's name. mapped: see `wide.parse_map`. features: regular expression that the names of
    features match. layer: matrix of an AnnData file: X, the name of a layer, raw or obsm:NAME.
    metadata: tables that are joined. level: well or field; treatment or compound for tables without
    wells. negcon: compound that is the negative control, where the table has no control_type.
    unit: see `ingest`. dry_run: only say what was understood; nothing lands. overwrite: plates
    without images get the wells and annotation of this table.
    objects: the table has a row for each cell; profiles are medians or means (aggregate) of wells
    or fields. Then `file` is CSV or Parquet, several of one kind, a folder of CellProfiler's CSV
    files (Image, Cells, Nuclei, Cytoplasm), or SQLite files of CellProfiler. keep_cells: single
    cells are kept too, as the table `cell`.
    Raises InputError if a row or a name is invalid; then nothing lands.

    >>> import unidino as ud
    >>> table = folder / "features.csv"
    >>> _ = table.write_text("Metadata_Plate,Metadata_Well,area\\np9,A01,1.5\\np9,A02,2.5\\n")
    >>> ud.import_profiles(lake, table, "areas").num_rows
    2
    """
    run = Run.of("import-profiles", locals(), reads_files=True)
    choose("level", level, (*_WELL_LEVELS, *_OTHER_LEVELS))
    files = [Path(file)] if isinstance(file, str | Path) else [Path(f) for f in file]
    _check_objects(files, level, layer, objects=objects, aggregate=aggregate, keep_cells=keep_cells)
    file, mapped = files[0], mapped or {}
    reading = Reading(unit, run.account, OF_IMAGES - {"field"})
    with ExitStack() as held:
        folder = held.enter_context(temporary_folder())
        con = scratch()
        held.callback(con.close)
        cells = None
        if objects:
            cells = read_objects(
                con, "_rows", files, folder, mapped, features, reading, level=level, how=aggregate
            )
            read = cells.wide
        else:
            read = wide.read(con, "_rows", file, mapped, features, reading, layer=layer)
        clean_identifiers(con, "_rows", file.name)
        found = read.found
        for table in metadata:
            tables.load(con, "joined", [table])
            of_wells = reading.of_wells(tables.columns(con, "joined"))
            found |= wide.rename(con, "joined", mapped, of_wells, table.name)
            clean_identifiers(con, "joined", table.name)
            refuse_unknown_wells(con, "joined", table)
            one_row_a_well(con, "joined", table.name, run.account)
            join(con, "_rows", "joined", table.name, run.account, states=True)
        computed = {k: v for k, v in mapped.items() if k not in found}
        wide.compute(con, "_rows", computed)
        for column, expression in computed.items():
            reading.account.say("columns", f"{expression} -> {column}")
        clean_identifiers(con, "_rows")
        # Joins may change the order of the rows; the vectors are in the order of the file.
        con.execute("create or replace table _rows as from _rows order by _line")
        _check_level(con, level, file)
        manifest.check_metadata(con, "_rows", file)
        name = dataset or tables.stem(file).removesuffix(".zarr")
        con.register("known", _known_plates(lake, overwrite=overwrite))
        con.execute(
            f"create table manifest as {assets.sql('queries', 'imported_well')}",
            {"dataset": name, "negcon": negcon, "level": level},
        )
        _check_rows(con, "manifest_name", RENAMING | {"plate": "; rename it by --map plate=..."})
        config = _config(lake, model, read.features)
        extra = [c for c in tables.columns(con, "_rows") if c not in _manifest_columns()]
        imported = ImportedTable(
            lake,
            run,
            con,
            model,
            config,
            read.values,
            level,
            name,
            tuple(read.left_out),
            tuple(extra),
            cells,
            keep_cells,
        )
        if level in _WELL_LEVELS:
            _check_wells(con, file)
            con.execute("create temp view image_list as from manifest")
            say_negcon(con, run.account, negcon)
            say_wells(con, run.account, fields=level == "field")
        run.account.tell()
        if level in _WELL_LEVELS:
            say_odd_plates(
                lake,
                [plate for (plate,) in con.sql("select distinct plate from manifest").fetchall()],
                '--map "plate=..."',
            )
            _say_known(con, dataset)
        if dry_run:
            dropped = rows_to_land(imported)[1] if level in _WELL_LEVELS else {}
            return imported.landed(0, dropped)
        return land_wells(imported) if level in _WELL_LEVELS else land_level(imported)


def _check_objects(
    files: Sequence[Path],
    level: str,
    layer: str | None,
    *,
    objects: bool,
    aggregate: str,
    keep_cells: bool,
) -> None:
    """Raise InputError for options that contradict each other, by whether rows are cells."""
    choose("aggregation", aggregate, get_args(Aggregation))
    if not files:
        raise InputError("no table is given")
    if objects:
        if level not in _WELL_LEVELS:
            raise InputError(
                f"cells (--objects) are aggregated to wells or fields, not to a {level}; pass"
                " --level well, and `unidino profile --level` averages further"
            )
        if layer is not None:
            raise InputError("--layer names a matrix of an AnnData file; --objects reads none")
    elif len(files) > 1:
        raise InputError(f"{len(files)} tables are given; several are for --objects, rows of cells")
    elif keep_cells:
        raise InputError("--keep-cells keeps single cells; it needs --objects")


def _known_plates(lake: Lake, *, overwrite: bool) -> pa.Table:
    """Plates of the lake that keep their wells and annotation.

    overwrite: only plates with images keep them.
    """
    query = "select plate_id, dataset, uri is null as is_bare from plate"
    if overwrite:
        query += " where plate_id in (select plate from image)"
    return lake.look_up(query).to_arrow()


def _say_known(con: Connection, dataset: str | None) -> None:
    """Warn that plates of the lake keep their wells and annotation.

    Raises InputError if a plate belongs to another dataset than the given one, unless the table
    says that it does.
    """
    if dataset is not None:
        told = con.execute(
            "select distinct dataset from typed where dataset is not null"
        ).fetchall()
        for (name,) in sorted(told):
            if name != dataset:
                log.warning(
                    f"the table says that its rows belong to dataset '{name}', which counts;"
                    f" --dataset {dataset} is for rows that say none"
                )
    known = con.execute(
        "select any_value(m.plate order by m.plate), known.dataset, count(distinct m.plate),"
        " bool_or(known.is_bare), bool_and(typed.dataset is not distinct from known.dataset)"
        " from manifest as m inner join known on m.plate = known.plate_id"
        " inner join typed on m.line = typed.line group by known.dataset order by 2"
    ).fetchall()
    for plate, belongs_to, num, is_bare, is_told in known:
        if dataset is not None and belongs_to != dataset and not is_told:
            raise InputError(
                f"plate '{plate}' belongs to dataset '{belongs_to}'; pass --dataset {belongs_to},"
                f" or rename plates by --map \"plate='{dataset}_' || plate\""
            )
        hint = "; --overwrite replaces it" if is_bare else ""
        log.warning(
            f"{num} plates are in the lake already (dataset {belongs_to}): their wells keep their"
            f" annotation{hint}"
        )


def _check_level(con: Connection, level: str, file: Path) -> None:
    have = tables.columns(con, "_rows")
    needed = ("plate", "well") if level in _WELL_LEVELS else ("compound",)
    for column in (*needed, *(("field",) if level == "field" else ())):
        if column not in have:
            shown = ", ".join(have[:12]) or "none"
            hint = (
                "" if level in _OTHER_LEVELS else ", or --level compound for a table without wells"
            )
            raise InputError(
                f"'{file}' has no column for the {column} (it has {shown}); name it by --map"
                f" {column}=ITS_NAME{hint}"
            )


def _manifest_columns() -> set[str]:
    return set(assets.manifest_schema()["properties"])


def _check_wells(con: Connection, file: Path) -> None:
    nameless = first_row(
        con, "select place from manifest where plate is null order by line limit 1"
    )
    if nameless:
        raise InputError(f"{nameless[0]}: the plate is missing")
    for name in ("manifest_well", "manifest_control_type"):
        _check_rows(con, name, {})
    _check_fields(con)
    _refuse_disagreement(con)
    twice = first_row(
        con,
        "select plate, well, min(line) as first, max(line) as last, arg_min(spelling, line),"
        " arg_max(spelling, line) from manifest group by plate, well, field"
        " having count(*) > 1 order by plate, well, first limit 1",
    )
    if twice:
        plate, well, first, last, one, other = twice
        spelled = "" if one == other else f", spelled {one} and {other}"
        raise InputError(
            f"'{file}' has two rows for plate {plate}, well {well} (rows {first} and"
            f" {last}{spelled}); aggregate them first, or pass --level field with a column for the"
            " field"
        )


def _check_fields(con: Connection) -> None:
    """Raise InputError for a row without a field, or with a negative one."""
    wrong = first_row(
        con,
        "select place, field from manifest where field is null or field < 0 order by line limit 1",
    )
    if wrong:
        place, field = wrong
        what = "is missing" if field is None else f"is {field}, and fields count from 0"
        raise InputError(f"{place}: the field {what}; --level well needs none")


def _refuse_disagreement(con: Connection) -> None:
    """Raise InputError if rows of a new plate or well say different things of it."""
    found = manifest.check(con, "manifest_disagreement")
    known = {line for (line,) in con.sql("select line from manifest where is_known").fetchall()}
    wrong = [row for row in found if row[0] not in known]
    if wrong:
        _, place, column, problem = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InputError(f"{place}, column {column}: {problem}{more}")


def _check_rows(con: Connection, name: str, next_steps: Mapping[str, str]) -> None:
    """Raise InputError for the first row that a check finds. next_steps: by column."""
    found = manifest.check(con, name)
    if found:
        _, place, column, problem = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InputError(f"{place}: {problem}{more}{next_steps.get(column, '')}")


def _config(lake: Lake, model: str, names: list[str]) -> ModelConfig:
    """A configuration of an imported model with these features.

    Raises ModelError if the lake has a model of this name that was not imported or has other
    features.
    """
    config = ModelConfig(kind="imported", num_dims=len(names), features=tuple(names))
    if model in model_names(lake):
        there = load_config(lake, model)
        if there.traits.embeds:
            raise ModelError(f"model '{model}' was not imported; choose another --model")
        if there.features != config.features:
            raise ModelError(
                f"the {len(names)} features of the table differ from the {len(there.features)} of"
                f" model '{model}'; choose another --model, or the same columns by --features"
            )
    return config
