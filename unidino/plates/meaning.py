"""What the columns of a user's table mean: the manifest's columns, by name and by value.

A column that means nothing certain keeps its name and is kept with the well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from unidino.core import assets
from unidino.core.account import Account, listed
from unidino.core.sql import Connection, first_row, quoted
from unidino.plates.concentration import convert_concentration
from unidino.plates.decimals import use_points
from unidino.plates.tables import bare_name, columns

_COLUMN = ("column", "col")
_PLACES = (  # names of a row and a column that make a well, without blanks and signs
    *((f"{kind}row", f"{kind}{column}") for kind in ("", "well", "plate") for column in _COLUMN),
    ("rowletter", "columnnumber"),
    ("rowname", "columnname"),
)
_HIGH_UM = 1000.0  # hardly a compound is given at more; published tables misname uM as mmol/l
_CONVERTED = ("control_type", "concentration_um")  # by their values, not by their names alone


@dataclass(frozen=True)
class Reading:
    """How the tables of a command are read, and the account of it.

    unit: of concentrations whose table states none; `none`: they are not concentrations.
    """

    unit: str | None = None
    account: Account = field(default_factory=Account)


def give_meaning(
    con: Connection,
    table: str,
    reading: Reading,
    name: str | None = None,
    given: Mapping[str, str | None] | None = None,
) -> dict[str, str]:
    """Rename and convert the columns of a table of text to those of the manifest.

    Returns the old name of each new one. name: of the table's file; with it, the account says what
    each column became. given: columns that the user names, by name of the manifest; None for one
    that is not in this table.
    Raises InputError for a concentration whose unit is missing or unknown.
    """
    given = given or {}
    title = name or "the table"
    was = {new: old for new, old in given.items() if old is not None}
    converted = None
    if given.get("concentration_um", "") is not None:
        converted = convert_concentration(
            con, table, title, reading.unit, given.get("concentration_um")
        )
    if converted:
        was["concentration_um"] = converted.column
    was |= _rename(con, table)
    was |= _well(con, table)
    was |= _control_type(con, table, name, reading.account)
    known = assets.manifest_schema()["properties"]
    have = columns(con, table)
    points = [
        column
        for column, rule in known.items()
        if rule["type"] == "number" and column in have and use_points(con, table, column, title)
    ]
    if converted and converted.had_commas:
        points.append("concentration_um")
    if name is None:
        return was
    told = dict(was)
    if converted and converted.units and converted.column != "concentration_um":
        told["concentration_um"] = f"{converted.column}, in {converted.units}"
    used = [f"{told[c]} -> {c}" if told.get(c, c) != c else c for c in have if c in known]
    extra = [c for c in have if c not in known]
    text = f"{name}: {', '.join(used) or 'none is known'}"
    if points:
        text += f"; decimal commas in {', '.join(points)}"
    if extra:
        text += f"; kept as extra: {listed(extra, 12)}"
    reading.account.say("columns", text)
    if converted and (converted.highest_um or 0) >= _HIGH_UM and converted.units != "uM":
        reading.account.warn(
            "units",
            f"{name}: the highest concentration is {converted.highest_um:,.10g} uM, because"
            f" {converted.column} is read in {converted.units}; if its numbers are in uM already,"
            " name the column concentration_um",
        )
    return was


def _rename(con: Connection, table: str) -> dict[str, str]:
    """Rename columns by the names and aliases of the manifest; the old names, by new name."""
    meaning = {
        alias: name
        for name, rule in assets.manifest_schema()["properties"].items()
        if name not in _CONVERTED
        for alias in (name, *rule.get("aliases", ()))
    }
    was: dict[str, str] = {}
    present = set(columns(con, table))
    for column in columns(con, table):
        canonical = meaning.get(bare_name(column))
        if canonical and canonical != column and canonical not in present:
            _rename_column(con, table, column, canonical)
            was[canonical] = column
            present = (present - {column}) | {canonical}
    return was


def _well(con: Connection, table: str) -> dict[str, str]:
    """Make the column `well` of a row and a column, as letters or numbers, if there is none.

    A place that is no well of a plate stays as it is written, and is refused later.
    """
    have = columns(con, table)
    named = {re.sub(r"[\s_.]", "", bare_name(column)): column for column in reversed(have)}
    for row, column in _PLACES:
        if "well" not in have and row in named and column in named:
            parts = quoted(named[row]), quoted(named[column])
            place = f"coalesce(well_of({parts[0]}, {parts[1]}), {parts[0]} || ', ' || {parts[1]})"
            con.execute(f"alter table {quoted(table)} add column well varchar")
            con.execute(f"update {quoted(table)} set well = {place}")
            for part in parts:
                con.execute(f"alter table {quoted(table)} drop column {part}")
            return {"well": f"{named[row]} and {named[column]}"}
    return {}


def _rename_column(con: Connection, table: str, column: str, new: str) -> None:
    con.execute(f"alter table {quoted(table)} rename column {quoted(column)} to {quoted(new)}")


def _control_type(
    con: Connection, table: str, name: str | None, account: Account
) -> dict[str, str]:
    """Rename the column of control types; its old name.

    A column of an alias, such as `type`, is renamed only if it holds nothing but control types.
    """
    rule = assets.manifest_schema()["properties"]["control_type"]
    named = {bare_name(column): column for column in reversed(columns(con, table))}
    for alias in ("control_type", *rule["aliases"]):
        column = named.get(alias)
        if column is None:
            continue
        other = _no_control_types(con, table, column)
        (num,) = first_row(con, f"select count({quoted(column)}) from {quoted(table)}")
        if alias == "control_type" or (num and not other):
            if column != "control_type":
                _rename_column(con, table, column, "control_type")
            _say_words(con, table, name, account)
            return {"control_type": column}
        if num and name:
            account.say(
                "controls",
                f"{name}: column {column} is not read as control types, because of"
                f" {listed(map(repr, other), 3)}",
            )
    return {}


def _no_control_types(con: Connection, table: str, column: str) -> list[str]:
    rows = con.execute(
        f"select distinct {quoted(column)} from {quoted(table)} where"
        f" canonical_control_type({quoted(column)}) not in ('trt', 'negcon', 'poscon', 'empty')"
        " order by 1"
    ).fetchall()
    return [value for (value,) in rows]


def _say_words(con: Connection, table: str, name: str | None, account: Account) -> None:
    """Say which words were read as which control types."""
    rows = con.execute(
        "select control_type, canonical_control_type(control_type) as meant"
        f" from {quoted(table)} where meant <> control_type group by all order by all"
    ).fetchall()
    if rows and name:
        account.say("controls", f"{name}: {listed(f'{word} is {meant}' for word, meant in rows)}")
