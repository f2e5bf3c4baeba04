"""Concentrations of a user's table in micromolar, from the units that the table states.

A unit is in the name of the column (`Conc (nM)`), in a column beside it (`unit`), in the value
(`300 nM`), or given for the whole table. A number without any unit is refused, never guessed.
"""

import re
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from typing import NamedTuple

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import Connection, first_row, quoted, scratch
from unidino.plates.decimals import use_points
from unidino.plates.tables import bare_name, columns

NO_UNIT = "none"  # as the unit of a table: its numbers without a unit are not concentrations
_WHAT = (
    r"(?:(?:compound|cpd|drug|final|treatment|pert|perturbation|nominal|assay)[\s_.]*)*"
    r"(?:concentration|conc|dose|dosage)s?"
)
_PLAIN = re.compile(_WHAT, re.IGNORECASE)
_BRACKETS = re.compile(rf"{_WHAT}[\s_.]*[\[(](?P<unit>[^\])]*)[\])]", re.IGNORECASE)
_SUFFIX = re.compile(rf"{_WHAT}(?:[\s_.]+in)?[\s_./]+(?P<unit>\S+)", re.IGNORECASE)
_LONG_UNIT = re.compile(r"[munpf]?mol(?:e|es)?_per_lit(?:er|re)", re.IGNORECASE)
_UNITS = re.compile(rf"(?:{_WHAT}[\s_.]*)?(?:units?|uom)", re.IGNORECASE)
_MOLAR_MASS = re.compile(
    r"(?:molar[\s_]*mass|mol(?:ecular|\.)?[\s_]*(?:weight|wt)|mw)[\s_]*(?:[\[(]?g[/_\s]*mol[\])]?)?",
    re.IGNORECASE,
)
_KNOWN = "M, mM, uM, nM, pM, mol/l, and mg/ml or ug/ml beside a column molar_mass (g/mol)"
_NEXT = {
    "no unit": "name it by --unit, such as --unit nM, or --unit none if it is no concentration",
    "no molar mass": "add a column molar_mass in g/mol, or state a molar concentration",
}


class _Amount(NamedTuple):
    """A column of concentrations. unit: that its name states."""

    column: str
    unit: str | None


class Converted(NamedTuple):
    """What `concentration_um` was read from. had_commas: whether its commas were decimal."""

    column: str
    units: str
    had_commas: bool
    highest_um: float | None


def convert_concentration(
    con: Connection, table: str, name: str, unit: str | None, column: str | None = None
) -> Converted | None:
    """Replace the column of concentrations of a table by `concentration_um`, as text.

    Returns what it was read from, or None if the table has no concentration.
    name: of the table's file. unit: of numbers without any; `none` leaves a column as it is whose
    numbers have no unit that is known. column: the one that the user names; default: by its name.
    Raises InputError if a unit is missing or unknown.
    """
    have = columns(con, table)
    beside = next((c for c in have if _UNITS.fullmatch(bare_name(c))), None)
    if column is None:
        amount = _amount(con, have, name)
    else:
        amount = _named(con, column, stated=beside is not None or unit not in (None, NO_UNIT))
    if amount is None:
        return None
    mass = next((c for c in have if _MOLAR_MASS.fullmatch(bare_name(c))), None)
    if unit == NO_UNIT and amount.unit is None and beside is None and _is_plain(con, table, amount):
        return None
    had_commas = use_points(con, table, amount.column, name)
    _read(con, table, amount, beside, mass, None if unit == NO_UNIT else unit)
    if unit == NO_UNIT and first_row(
        con,
        "from converted where problem = 'no unit' or starts_with(problem, 'unknown unit') limit 1",
    ):
        return None
    _refuse_problems(con, table, amount.column, name)
    read_as = con.execute(
        "select distinct read_as from converted where concentration_um > 0 order by 1"
    ).fetchall()
    highest_um = first_row(con, "select max(concentration_um) from converted")[0]
    done = Converted(amount.column, ", ".join(u for (u,) in read_as), had_commas, highest_um)
    if amount.unit == "uM" and beside is None and _is_plain(con, table, amount):
        _rename(con, table, amount.column)
        return done
    dropped = {amount.column, *([beside] if beside else [])}
    dropped |= {c for c in have if c.lower() == "concentration_um"}
    con.execute(
        f"create or replace table {quoted(table)} as select t.* exclude"
        f" (_row, {', '.join(map(quoted, sorted(dropped)))}), c.concentration_um::varchar as"
        f" concentration_um from (select *, row_number() over () as _row from {quoted(table)}) as t"
        " left join converted as c on t._row = c.line order by t._row"
    )
    return done


def _named(con: Connection, column: str, *, stated: bool) -> _Amount:
    """The column that the user names as concentration_um.

    Its name may state another unit. stated: whether the user, or a column, states the unit.
    """
    found = _amount(con, [column], column)
    unit = found.unit if found and bare_name(column) != "concentration_um" else None
    if bare_name(column) == "concentration_um":
        unit = "uM"
    return _Amount(column, unit or (None if stated else "uM"))


def _amount(con: Connection, have: Sequence[str], name: str) -> _Amount | None:
    """The column of concentrations: the one in micromolar, else with a unit, else without.

    Raises InputError if two columns may be meant.
    """
    with_unit, without = [], []
    for column in have:
        bare = bare_name(column)
        if bare == "concentration_um":
            return _Amount(column, "uM")
        spelled = re.sub(r"^(image_)?metadata_", "", column.strip(), flags=re.IGNORECASE)
        if _PLAIN.fullmatch(spelled):
            without.append(_Amount(column, None))
        elif _LONG_UNIT.fullmatch(spelled):
            with_unit.append(_Amount(column, spelled))
        else:
            in_brackets, behind = _BRACKETS.fullmatch(spelled), _SUFFIX.fullmatch(spelled)
            if behind and not _is_unit(con, behind["unit"]):  # such as dose_group
                behind = None
            if match := in_brackets or behind:
                with_unit.append(_Amount(column, match["unit"]))
    found = with_unit or without
    if len(found) > 1:
        raise InputError(
            f"'{name}' has {len(found)} columns of concentrations:"
            f" {', '.join(a.column for a in found)}; name the right one concentration_um, in uM"
        )
    return found[0] if found else None


def is_of_concentration(column: str) -> bool:
    """Whether a column has concentrations, their unit or the molar mass, by its name."""
    spelled = bare_name(column)
    if _UNITS.fullmatch(spelled) or _MOLAR_MASS.fullmatch(spelled):
        return True
    if any(form.fullmatch(spelled) for form in (_PLAIN, _LONG_UNIT, _BRACKETS)):
        return True
    behind = _SUFFIX.fullmatch(spelled)
    return behind is not None and _is_known_unit(behind["unit"])


@cache
def _is_known_unit(text: str) -> bool:
    with closing(scratch([assets.sql("queries", "stated_concentration")])) as con:
        return _is_unit(con, text)


def _is_unit(con: Connection, text: str) -> bool:
    con.execute(
        "create or replace temp table stated as"
        " select 1 as line, '1' as value, $unit::varchar as unit, null::varchar as unit_of_column,"
        " '1' as molar_mass",
        {"unit": text},
    )
    query = assets.sql("queries", "stated_concentration")
    return first_row(con, f"select problem is null from ({query})") == (True,)


def _is_plain(con: Connection, table: str, amount: _Amount) -> bool:
    """Whether no value of a column carries a unit."""
    query = (
        f"select count(*) from {quoted(table)}"
        f" where regexp_full_match({quoted(amount.column)}::varchar,"
        " '\\s*[-+.,\\d]+([eE][-+]?\\d+)?\\s*[^\\d\\s.,].*')"
    )
    return first_row(con, query) == (0,)


def _rename(con: Connection, table: str, column: str) -> None:
    """Name the column `concentration_um`; another of that name is dropped."""
    for other in columns(con, table):
        if other != column and other.lower() == "concentration_um":
            con.execute(f"alter table {quoted(table)} drop column {quoted(other)}")
    if column != "concentration_um":
        con.execute(
            f"alter table {quoted(table)} rename column {quoted(column)} to concentration_um"
        )


def _read(
    con: Connection,
    table: str,
    amount: _Amount,
    beside: str | None,
    mass: str | None,
    unit: str | None,
) -> None:
    """Create `converted`, with the rows of `stated_concentration.sql`."""
    of_row = f"{quoted(beside)}::varchar" if beside else "null::varchar"
    value, of_column, given = f"{quoted(amount.column)}::varchar", "null::varchar", unit
    if amount.unit is None:
        of_row = f"coalesce({of_row}, $unit::varchar)"
    elif bare_name(amount.column) == "concentration_um":  # a value may state another unit
        value = f"spaced({value})"
        value = f"if(try_cast({value} as double) is null, {value}, {value} || ' ' || $unit)"
        given = amount.unit
    else:
        of_column, given = "$unit::varchar", amount.unit
    con.execute(
        f"create or replace temp table stated as select row_number() over () as line,"
        f" {value} as value, {of_row} as unit, {of_column} as unit_of_column,"
        f" {quoted(mass) if mass else 'null'}::varchar as molar_mass from {quoted(table)}",
        {"unit": given},
    )
    query = assets.sql("queries", "stated_concentration")
    con.execute(f"create or replace temp table converted as {query}")


def _refuse_problems(con: Connection, table: str, column: str, name: str) -> None:
    """Raise InputError if `converted` has problems: the first of each kind, and their number."""
    line = "_line" if "_line" in _all_columns(con, table) else "_row"
    rows = con.execute(
        f"select t.{line}, c.value, c.problem from converted as c inner join"
        f" (select *, row_number() over () as _row from {quoted(table)}) as t on t._row = c.line"
        " where c.problem is not null order by c.line"
    ).fetchall()
    if not rows:
        return
    first = {why: (at, value) for at, value, why in reversed(rows)}
    texts = [
        f"'{name}', line {at}, column {column}: {value}: {why}"
        for why, (at, value) in reversed(first.items())
    ]
    more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    step = _NEXT.get(rows[0][2], f"known units are {_KNOWN}")
    raise InputError(f"{texts[0]}{more}; {step}", texts if len(texts) > 1 else ())


def _all_columns(con: Connection, table: str) -> list[str]:
    return [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]
