"""The manifest: rows of a layout with typed and checked columns, gathered into images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from unicodedata import normalize

import pyarrow as pa

from unidino.core import assets
from unidino.core.account import Account
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, quoted
from unidino.plates.channels import name_channels, two_names_hint
from unidino.plates.content import say_negcon
from unidino.plates.measurements import create_entries, problems_of_entries, refuse_mixed
from unidino.plates.missing import (
    NEXT_STEP,
    add_absent,
    find_single_slices,
    find_unchosen,
    say_same_planes,
    say_uneven_stacks,
)
from unidino.plates.plate_names import RENAMING, refuse_two_measurements, rename_plates
from unidino.plates.typed import create_typed, value_problems

Row = dict[str, Any]  # one image of a manifest


@dataclass(frozen=True)
class Manifest:
    """Every image, checked.

    images: a row per image in the columns of `schemas/manifest.schema.json`, with the lists `paths`
    (absolute) and `pages` of its slices instead of `path` and `page`; ordered by plate, well
    position, field and channel_index.
    digests: for each plate, a hash of its rows.
    problems: for each row that was left out, a line with its place.
    """

    images: pa.Table
    digests: dict[str, str]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Which of the images to take, and what plates and channels are called.

    plate_names: new names, as OLD=NEW or FOLDER=NEW. channel_names: new names, by channel index.
    channels, drop_channels: names or patterns (`*`, `?`) to keep and to leave out. z: `max` for the
    maximum over slices, or the number of a slice. timepoint: the time point to take. acquisition:
    number of the acquisition to take of an OME plate. image_name: name or pattern of the images of
    a well of an OME-Zarr plate; default: plain numbers. keep_index: channels keep the index that
    they were given, even if that leaves gaps.
    """

    channel_names: Sequence[str] = ()
    channels: Sequence[str] = ()
    drop_channels: Sequence[str] = ()
    z: str = "max"
    timepoint: int | None = None
    acquisition: int | None = None
    image_name: str | None = None
    keep_index: bool = False
    plate_names: Sequence[str] = ()

    def slice_number(self) -> int | None:
        """Number of the slice to take, None for all.

        Raises InputError if z is neither `max` nor a number.
        """
        if self.z == "max":
            return None
        if not self.z.isdecimal():
            raise InputError(f"--z is 'max' or the number of a slice, not '{self.z}'")
        return int(self.z)


@dataclass
class _Problems:
    """Wrong rows: the line of each in the table, and a text for people."""

    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, rows: Sequence[tuple[int, str, str, str]]) -> None:
        for line, place, column, problem in rows:
            self.lines.append(line)
            self.texts.append(f"{place}, column {column}: {problem}")

    def add_entries(self, rows: Sequence[tuple[int, str]]) -> None:
        """Add rows that a reader found wrong: line and problem, which names the file."""
        self.lines += [line for line, _ in rows]
        self.texts += [problem for _, problem in rows]

    def refuse(self, next_step: str = "") -> NoReturn:
        """Raise InputError with the first problem, and all of them as details."""
        more = len(self.texts) - 1
        raise InputError(
            self.texts[0] + (f" (and {more} more)" if more else "") + next_step,
            self.texts if more else (),
        )


def build(
    con: Connection,
    *,
    source: Path,
    dataset: str,
    root: Path,
    choice: Choice,
    negcon: str,
    allow_incomplete: bool,
    faults: Sequence[str] = (),
    absent_channels: bool = False,
    account: Account | None = None,
) -> Manifest:
    """The manifest of the rows in the table `_images`.

    source: file or folder that messages name if the file of a row is not known. dataset: default
    collection. root: folder that relative paths start from. negcon: compound that is the negative
    control where no control_type is stated. allow_incomplete: leave out the fields of wrong rows
    instead of raising. faults: a line for each thing that the layout could not read.
    absent_channels: fields that lack channels of their plate get images without files. account:
    says which wells are controls by their compound.
    Raises InputError, with a line for every fault and wrong row.
    """
    problems = _Problems(texts=list(faults))
    create_typed(con, "_images", source, required=True)
    create_entries(con, "_images")
    problems.add(value_problems(con, "_images"))
    con.execute("drop table numbered")
    con.execute("drop table _images")
    rename_plates(con, choice.plate_names, source, root)
    name_channels(con, choice)
    _check_choice(con, choice)
    chosen = {"z": choice.slice_number(), "timepoint": choice.timepoint}
    find_single_slices(con, chosen)
    con.execute(
        f"create table manifest as {assets.sql('queries', 'manifest')}",
        chosen
        | {
            "dataset": normalize("NFC", dataset.strip()),
            "negcon": negcon,
            "root": str(root.resolve()),
        },
    )
    if first_row(con, "select count(*) from manifest") == (0,):
        if problems.texts:
            problems.refuse()
        raise InputError(f"'{source}': nothing is left of its images; {_channels_and_slices(con)}")
    find_unchosen(con, chosen, absent_channels=absent_channels)
    refuse_mixed(con)
    problems.add_entries(problems_of_entries(con))
    con.execute("drop table entry")
    next_step = _check_rows(
        con, problems, source, refuse=not allow_incomplete, complete=not absent_channels
    )
    if account is not None:
        say_negcon(con, account, negcon)
    con.execute("drop table typed")
    if problems.texts and not allow_incomplete:
        problems.refuse(next_step)
    say_uneven_stacks(con)
    say_same_planes(con)
    if absent_channels:
        add_absent(con)
    con.execute(f"create table image_list as {assets.sql('queries', 'manifest_image')}")
    con.execute("drop table manifest")
    digests = dict(con.execute(assets.sql("queries", "manifest_digest")).fetchall())
    if not digests:
        raise InputError(f"'{source}': no field is whole; the first problem: {problems.texts[0]}")
    images = con.sql("from image_list").to_arrow_table()
    return Manifest(images, digests, problems=tuple(problems.texts))


def _check_rows(
    con: Connection, problems: _Problems, source: Path, *, refuse: bool, complete: bool
) -> str:
    """Run the checks of `sql/checks`, leave out what they find, and return the next step.

    refuse: raise InputError at once for a plate of two measurements. complete: also check that
    fields have every channel of their plate.
    """
    next_step = "; mend it, or pass --allow-incomplete to land the fields that are whole"
    _leave_out(con, problems.lines)
    for name in assets.names("checks"):
        if not name.startswith("manifest_") or (
            name == "manifest_incomplete_field" and not complete
        ):
            continue
        found = check(con, name)
        if name == "manifest_duplicate" and found and refuse:
            refuse_two_measurements(con, source)
        if name == "manifest_incomplete_field" and found and not problems.texts:
            next_step = two_names_hint(con) + NEXT_STEP
        if name == "manifest_name":
            found = [(*row[:3], row[3] + RENAMING[row[2]]) for row in found]
        problems.add(found)
        _leave_out(con, [row[0] for row in found], whole_plates=name == "manifest_name")
    return next_step


def check(con: Connection, name: str) -> list[tuple[int, str, str, str]]:
    """Rows of `manifest` that `sql/checks/<name>.sql` finds: line, place, column, problem."""
    return con.execute(
        'select line, place, found."column", problem'
        f" from ({assets.sql('checks', name)}) as found"
        " inner join (select line, any_value(place) as place from manifest group by line) as row"
        " using (line) order by line, 3"
    ).fetchall()


def check_metadata(con: Connection, table: str, source: Path) -> None:
    """Check those columns of a table of metadata that are columns of the manifest.

    Raises InputError, with a line for every wrong row.
    """
    problems = _Problems()
    create_typed(con, table, source, required=False)
    problems.add(value_problems(con, table))
    con.execute("create temp view manifest as from typed")
    problems.add(check(con, "manifest_control_type"))
    con.execute("drop view manifest")
    if problems.texts:
        problems.refuse("; mend it, or give the column another name if it means something else")


def _check_choice(con: Connection, choice: Choice) -> None:
    """Raise InputError if the time point is not chosen but must be, or is not there."""
    timepoints = [
        row[0]
        for row in con.execute(
            "select distinct timepoint from typed where timepoint is not null order by 1"
        ).fetchall()
    ]
    listed = ", ".join(map(str, timepoints))
    if choice.timepoint is None and len(timepoints) > 1:
        raise InputError(f"the images have the time points {listed}; choose one with --timepoint")
    if choice.timepoint is not None and timepoints and choice.timepoint not in timepoints:
        raise InputError(f"there is no time point {choice.timepoint}; the images have {listed}")
    for option, value, what, column in (
        ("--timepoint", choice.timepoint, "time points", "timepoint"),
        ("--z", choice.slice_number(), "slices", "z"),
    ):
        num, num_all, path = first_row(
            con,
            f"select count_if({quoted(column)} is null), count(*),"
            f" min(path) filter ({quoted(column)} is null) from typed",
        )
        if value is not None and num:
            which = "the images" if num == num_all else f"{num} images, such as '{path}',"
            log.warning(f"{option} {value}: {which} have no {what}; they are kept as they are")


def _channels_and_slices(con: Connection) -> str:
    """The channels and slices that a choice can name, in words."""
    slices = con.execute("select distinct z from typed where z is not null order by 1").fetchall()
    names = con.execute("select distinct channel from typed order by 1").fetchall()
    return f"channels: {', '.join(str(n) for (n,) in names)}" + (
        f"; slices: {', '.join(str(z) for (z,) in slices)}" if slices else ""
    )


def _leave_out(con: Connection, lines: Sequence[int], *, whole_plates: bool = False) -> None:
    """Delete from `manifest` the whole fields, or plates, of these rows."""
    if lines:
        con.execute(
            "create or replace temp table wrong as select * from manifest"
            " where line in (select unnest($lines::bigint[]))",
            {"lines": list(lines)},
        )
        con.execute(
            "delete from manifest using wrong where manifest.plate is not distinct from wrong.plate"
            + (
                ""
                if whole_plates
                else " and manifest.well is not distinct from wrong.well"
                " and manifest.field is not distinct from wrong.field"
            )
        )
