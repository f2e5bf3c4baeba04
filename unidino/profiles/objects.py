"""Tables with a row a cell, aggregated to wells or fields.

Only a few columns are in memory at a time, so that memory does not grow with the number of columns,
and little with that of cells. Shapes: W wells or fields, D features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unidino.core.account import Account, listed, number_of
from unidino.core.choices import Aggregation
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.progress import progress_bar
from unidino.core.sql import Connection, quoted
from unidino.plates import tables
from unidino.plates.identifiers import clean_identifiers, refuse_unknown_wells
from unidino.plates.meaning import Reading
from unidino.plates.wells import one_row_each
from unidino.profiles import mapping, wide
from unidino.profiles.object_checks import refuse_numbers_as_text, say_twins
from unidino.profiles.object_features import (
    ObjectColumns,
    choose_columns,
    is_of_files,
    tells_of_image,
)
from unidino.profiles.object_files import open_objects

_STATE_BYTES = 16  # of a value, while a median is computed
_BUDGET_BYTES = 384_000_000
_MOST_COLUMNS = 100
_MEMORY = "1500MB"
_FUNCTIONS: dict[Aggregation, str] = {"median": "median", "mean": "favg"}


@dataclass(frozen=True)
class Objects:
    """Cells that were read and aggregated.

    wide: the wells or fields, as of a wide table. columns: of the cells. counts: (W,), cells.
    """

    wide: wide.Wide
    columns: ObjectColumns
    counts: NDArray[np.int64]


def read_objects(
    con: Connection,
    name: str,
    paths: Sequence[Path],
    folder: Path,
    mapped: Mapping[str, str],
    pattern: str | None,
    reading: Reading,
    *,
    level: str,
    how: Aggregation,
) -> Objects:
    """Medians or means of the cells of each well or field, as of a wide table.

    The table `name` in `con` has a row for each well (or field) with the column num_cells, and the
    view `_cell` a row for each cell with its `_line` in it. folder: for temporary files; it must
    last as long as the view. Missing and infinite values are left out of medians and means.
    Raises InputError as `open_objects` and `choose_columns` do, and if no column tells the well.
    """
    con.execute(f"set memory_limit = '{_MEMORY}'")
    con.execute("set temp_directory = $folder", {"folder": str(folder)})
    relation = open_objects(con, paths, folder, reading.account)
    kinds = {c: k for c, k, *_ in con.execute(f"describe {relation.name}").fetchall()}
    source = f"'{paths[0]}'"
    columns = choose_columns(kinds, mapped, pattern, source, reading.account)
    refuse_numbers_as_text(con, kinds, columns, pattern, source)
    on = _number_images(con, relation.images, columns, mapped)
    found = _place_images(con, name, paths[0], mapped, reading, level)
    _group(con, name, level, paths[0], reading.account)
    con.execute(
        "create or replace temp view _cell as select _placed_image.*, _object.*"
        f"{' exclude (_image)' if relation.images else ''} from _object {on}"
    )
    say_twins(con, relation.images, columns.number, reading.account)
    counts = _count(con, name)
    values, num_infinite = _aggregate(con, columns.features, counts, how)
    if num_infinite:
        reading.account.warn(
            "numbers", f"{num_infinite} infinite values of cells are missing values"
        )
    features, left_out = list(columns.features), dict(columns.left_out)
    if pattern is None and counts.any():
        void: NDArray[np.bool_] = np.asarray(np.isnan(values).all(axis=0))
        left_out |= {f: "no values" for f, is_void in zip(features, void, strict=True) if is_void}
        features = [f for f, is_void in zip(features, void, strict=True) if not is_void]
        values = values[:, ~void]
        if void.any():
            reading.account.say("not features", f"without values: {int(void.sum())}")
    if not features:
        raise InputError(f"{source} has no features: all columns of numbers are empty")
    _say(reading.account, counts, level, how)
    chosen = ObjectColumns(features, columns.of_image, columns.number, columns.places, left_out)
    return Objects(wide.Wide(features, values, found, left_out), chosen, counts)


def _number_images(
    con: Connection, images: str | None, columns: ObjectColumns, mapped: Mapping[str, str]
) -> str:
    """Create `_image_row`, a row for each image with its number; the join of cells to images."""
    if images is not None:
        told = " ".join(mapped.values()).lower()
        names = [c for c, *_ in con.execute(f"describe {images}").fetchall()]
        kept = [c for c in names if not c.startswith("_") and tells_of_image(c, told)]
        listed = "".join(f", {quoted(c)}" for c in kept)
        con.execute(f"create or replace table _image_row as select _image{listed} from {images}")
        return "inner join _placed_image using (_image)"
    told_by = columns.of_image
    listed = "".join(f", {quoted(c)}" for c in told_by)
    con.execute(
        f"create or replace table _image_row as select row_number() over () + 1 as _image{listed}"
        f" from (select distinct {listed[2:] or '0'} from _object order by all)"
    )
    equal = [f"_object.{quoted(c)} is not distinct from _image_row.{quoted(c)}" for c in told_by]
    return (
        f"inner join _image_row on {' and '.join(equal) or 'true'}"
        " inner join _placed_image on _placed_image._image = _image_row._image"
    )


def _place_images(
    con: Connection,
    name: str,
    path: Path,
    mapped: Mapping[str, str],
    reading: Reading,
    level: str,
) -> set[str]:
    """Create `name` of the images, with their plates and wells; names in `mapped` that were used.

    Raises InputError if the plate or the well is not told.
    """
    rows = con.sql("from _image_row order by _image").to_arrow_table()
    told = " ".join(mapped.values()).lower()
    wide.create_texts(con, name, rows.drop_columns(["_image"]), path)
    named = tables.columns(con, name)
    for column in named:
        if is_of_files(column) and column.lower() not in told:
            con.execute(f"alter table {quoted(name)} drop column {quoted(column)}")
    found = wide.rename(con, name, mapped, reading, path.name)
    needed = ("plate", "well", *(("field",) if level == "field" else ()))
    placed = {k: v for k, v in mapped.items() if k in ("plate", "well", "field") and k not in found}
    mapping.compute(con, name, placed)
    for column, expression in placed.items():
        reading.account.say("columns", f"{expression} -> {column}")
    clean_identifiers(con, name, path.name)
    have = tables.columns(con, name)
    for column in needed:
        if column not in have:
            raise InputError(
                f"'{path}' has no column for the {column} of its cells (its images have"
                f" {listed(named, 20) or 'none'}); name it by --map {column}=ITS_NAME,"
                f" or state it: --map \"{column}='NAME'\""
            )
    refuse_unknown_wells(con, name, path)
    return found | set(placed)


def _group(con: Connection, name: str, level: str, path: Path, account: Account) -> None:
    """Reduce the images of `name` to wells or fields, numbered by `_line` from 2.

    `_placed_image` tells of each image its `_line`, its field and its columns.
    """
    keys = ("plate", "well", "field") if level == "field" else ("plate", "well")
    have = tables.columns(con, name)
    field = "try_cast(field as integer)" if "field" in have else "null::integer"
    con.execute(
        f"create or replace table _placed as select _line as _image, {', '.join(keys[:2])},"
        f" {field} as field from {quoted(name)}"
    )
    con.execute("update _placed set well = well_or_text(well)")
    one_row_each(con, name, path.name, account, keys)
    con.execute(
        f"create or replace table {quoted(name)} as select * replace"
        f" (row_number() over (order by {', '.join(keys)}) + 1 as _line) from {quoted(name)}"
    )
    if level == "field":
        con.execute(f"update _placed set field = {field}")
    same = " and ".join(
        f"_placed.{k}::varchar is not distinct from _well.{k}::varchar" for k in keys
    )
    con.execute(
        "create or replace table _placed_image as select _image, _well._line, _placed.field as"
        f" _field from _placed inner join {quoted(name)} as _well on {same}"
    )


def _count(con: Connection, name: str) -> NDArray[np.int64]:
    """Numbers (W,) of cells; those of the whole wells become the column num_cells of `name`."""
    con.execute(
        "create or replace table _counted as select _line, count(*) as num from _cell group by all"
    )
    told = " exclude (num_cells)" if "num_cells" in tables.columns(con, name) else ""
    con.execute(
        f"create or replace table {quoted(name)} as select w.*{told},"
        " sum(coalesce(num, 0)) over (partition by plate, well)::integer::varchar as num_cells"
        f" from {quoted(name)} as w left join _counted using (_line)"
    )
    rows = con.execute(
        f"select coalesce(num, 0) as num from {quoted(name)} left join _counted using (_line)"
        " order by _line"
    ).fetchnumpy()
    return np.asarray(rows["num"], dtype=np.int64)


def _aggregate(
    con: Connection, features: Sequence[str], counts: NDArray[np.int64], how: Aggregation
) -> tuple[NDArray[np.float64], int]:
    """Medians or means (W, D), NaN where no cell has a value, and the number of infinite values.

    Columns are read a few at a time, and wells in ranges if one column of all is too much.
    """
    values = np.full((len(counts), len(features)), np.nan)
    num_infinite = 0
    cells = "_cell"
    if counts.sum() * len(features) * _STATE_BYTES < _BUDGET_BYTES:
        listed = "".join(f", {quoted(feature)}" for feature in features)
        con.execute(f"create or replace temp table _cell_here as select _line{listed} from _cell")
        cells = "_cell_here"
    for first, last in _ranges(counts):
        num = int(counts[first:last].sum())
        at_once = max(1, min(_MOST_COLUMNS, _BUDGET_BYTES // max(1, num * _STATE_BYTES)))
        if how == "mean":
            at_once = _MOST_COLUMNS
        with progress_bar("aggregate", len(features), "features") as advance:
            for start in range(0, len(features), at_once):
                some = features[start : start + at_once]
                wells = None if num == counts.sum() else (first, last)
                num_infinite += _aggregate_some(con, cells, some, start, wells, values, how)
                advance(len(some))
    return values, num_infinite


def _ranges(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Ranges of wells whose cells fit in memory, a column at a time."""
    most = _BUDGET_BYTES // _STATE_BYTES
    bounds, held = [0], 0
    for i, num in enumerate(counts):
        if held and held + num > most:
            bounds.append(i)
            held = 0
        held += int(num)
    bounds.append(len(counts))
    return list(pairwise(bounds))


def _aggregate_some(
    con: Connection,
    cells: str,
    features: Sequence[str],
    start: int,
    wells: tuple[int, int] | None,
    values: NDArray[np.float64],
    how: Aggregation,
) -> int:
    """Fill columns of `values`, from `start` on; the number of infinite values.

    cells: the table or view of them. wells: first and last row of `values` to fill; None for all.
    """
    numbers = [f"{quoted(feature)}::double" for feature in features]
    finite = ", ".join(
        f"{_FUNCTIONS[how]}(case when isfinite({n}) then {n} end) as f{i}"
        for i, n in enumerate(numbers)
    )
    infinite = ", ".join(f"count(case when isinf({n}) then 1 end)" for n in numbers)
    where = "" if wells is None else " where _line between $first and $last"
    rows = con.execute(
        f"select _line, list_sum([{infinite}]) as num_infinite, {finite} from {cells}{where}"
        " group by _line",
        {} if wells is None else {"first": wells[0] + 2, "last": wells[1] + 1},
    ).fetchnumpy()
    at = rows["_line"].astype(np.int64) - 2
    for i in range(len(features)):
        column = np.ma.filled(np.ma.asarray(rows[f"f{i}"], dtype=np.float64), np.nan)
        values[at, start + i] = column
    return int(np.asarray(rows["num_infinite"]).sum())


def _say(account: Account, counts: NDArray[np.int64], level: str, how: str) -> None:
    if not counts.any():
        raise InputError("the table has no cells")
    low, middle, high = (int(q) for q in np.quantile(counts, [0, 0.5, 1]))
    account.say(
        "cells",
        f"{number_of(int(counts.sum()), 'cell')} of {number_of(len(counts), level)}, {low} to"
        f" {high} each, {middle} in the middle; profiles are their {how}s",
    )
    if empty := int((counts == 0).sum()):
        log.warning(f"cells: {number_of(empty, level)} without cells: num_cells is 0, no profile")
