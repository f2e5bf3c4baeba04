"""What the columns of a user's table mean: the manifest's columns, by name and by value.

A column that means nothing certain keeps its name and is kept with the well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from unidino.core import assets
from unidino.core.account import Account, listed
from unidino.core.errors import InputError
from unidino.core.sql import Connection, first_row, quoted
from unidino.plates.concentration import convert_concentration
from unidino.plates.decimals import use_points
from unidino.plates.tables import bare_name, columns, key_of

_COLUMN = ("column", "col")
_PLACES = (  # names of a row and a column that make a well, without blanks and signs
    *((f"{kind}row", f"{kind}{column}") for kind in ("", "well", "plate") for column in _COLUMN),
    ("rowletter", "columnnumber"),
    ("rowname", "columnname"),
)
_HIGH_UM = 1000.0  # hardly a compound is given at more; published tables misname uM as mmol/l
_CONVERTED = ("control_type", "concentration_um")  # by their values, not by their names alone
_PLACED = ("plate", "well")  # where a row belongs: two columns that differ leave it open
_MORE_NAMES = {"plate": ("plate_name", "plate_barcode")}  # if there is no other
# Columns that tell the images of a plate apart.
OF_IMAGES = frozenset({"path", "page", "z", "timepoint", "field", "channel", "channel_index"})
_SHOWN = 30  # words
_PLAIN_UM = ("concentration_um", "uM")


@dataclass(frozen=True)
class Reading:
    """How the tables of a command are read, and the account of it.

    unit: of concentrations whose table states none; `none`: they are not concentrations.
    without: columns of the manifest that the command has no use for; those of tables that have
    their names or aliases keep them, and are kept with the well.
    """

    unit: str | None = None
    account: Account = field(default_factory=Account)
    without: frozenset[str] = frozenset()

    def of_wells(self, have: Sequence[str]) -> "Reading":
        """The same for a table with these columns; if it has plates or wells, it tells of wells.

        Then its columns that tell images apart, such as a time point, are not those of the images.
        """
        names = ("plate", "well")
        rules = assets.manifest_schema()["properties"]
        placed = any(_best_named(have, name, rules[name].get("aliases", ())) for name in names)
        return replace(self, without=self.without | OF_IMAGES) if placed else self


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
    was |= _rename(con, table, title, reading.without)
    kept_as = _keep_apart(con, table, reading.without)
    was |= _well(con, table)
    was |= _control_type(con, table, name, reading.account)
    properties = assets.manifest_schema()["properties"]
    known = {column: rule for column, rule in properties.items() if column not in reading.without}
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
    if converted and converted.units and (converted.column, converted.units) != _PLAIN_UM:
        told["concentration_um"] = f"{converted.column}, in {converted.units}"
    used = [f"{told[c]} -> {c}" if told.get(c, c) != c else c for c in have if c in known]
    extra = [c for c in have if c not in known]
    text = f"{name}: {', '.join(used) or 'none is known'}"
    if points:
        text += f"; decimal commas in {', '.join(points)}"
    if extra:
        text += f"; kept as extra: {listed(extra, 12)}"
    if kept_as:
        renamed = (f"{new} ({old})" for old, new in kept_as.items())
        text += f"; not of the images, so called otherwise: {listed(renamed)}"
    reading.account.say("columns", text)
    if converted and (converted.highest_um or 0) >= _HIGH_UM and converted.units != "uM":
        reading.account.warn(
            "units",
            f"{name}: the highest concentration is {converted.highest_um:,.10g} uM, because"
            f" {converted.column} is read in {converted.units}; if its numbers are in uM already,"
            " name the column concentration_um",
        )
    return was


def _rename(
    con: Connection, table: str, title: str, without: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Rename columns by the names and aliases of the manifest; the old names, by new name.

    A column's own name goes before its aliases, and these in their order before other spellings.
    Raises InputError if two columns of one rank name the plate or the well, and differ.
    """
    was: dict[str, str] = {}
    for name, rule in assets.manifest_schema()["properties"].items():
        have = columns(con, table)
        if name in without or name in _CONVERTED or name in have:
            continue
        found = _best_named(have, name, rule.get("aliases", ()))
        if not found:
            continue
        if name in _PLACED:
            _refuse_other(con, table, title, name, found)
        _rename_column(con, table, found[0], name)
        was[name] = found[0]
    return was


def _keep_apart(con: Connection, table: str, without: frozenset[str]) -> dict[str, str]:
    """Rename columns that have names of the manifest without their meaning; the new names."""
    kept_as = {}
    for column in columns(con, table):
        if (name := bare_name(column)) in without:
            taken = {other.lower() for other in columns(con, table)}
            new = f"well_{name}"
            while new in taken:
                new = f"{new}_"
            _rename_column(con, table, column, new)
            kept_as[column] = new
    return kept_as


def _best_named(have: Sequence[str], name: str, aliases: Sequence[str]) -> list[str]:
    """The columns that a name of the manifest means best; several only by aliases."""
    if other := [column for column in have if column.lower() == name]:
        return other[:1]
    if exact := [column for column in have if bare_name(column) == name]:
        return exact[:1]
    if alias := [column for column in have if bare_name(column) in aliases]:
        return alias
    keys = {key_of(spelled) for spelled in (name, *aliases, *_MORE_NAMES.get(name, ()))}
    return [column for column in have if key_of(column) in keys]


def _refuse_other(con: Connection, table: str, title: str, name: str, found: Sequence[str]) -> None:
    """Raise InputError if several columns may name the plate or the well of a row, and differ."""
    first, *others = map(quoted, found)
    for column, other in zip(found[1:], others, strict=True):
        differs = first_row(
            con,
            f"select {first}, {other} from {quoted(table)} where {first} is distinct from {other}"
            " limit 1",
        )
        if differs:
            raise InputError(
                f"'{title}': the columns {found[0]} and {column} may both name the {name}, and"
                f" differ, as in '{differs[0]}' and '{differs[1]}'; name the right one {name}"
            )


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
    Raises InputError if two such columns differ.
    """
    rule = assets.manifest_schema()["properties"]["control_type"]
    named = {bare_name(column): column for column in reversed(columns(con, table))}
    spelled = {key_of(column): column for column in reversed(columns(con, table))}
    chosen = None
    for alias in ("control_type", *rule["aliases"]):
        column = named.get(alias) or spelled.get(key_of(alias))
        if column is None:
            continue
        if alias == "control_type":
            chosen = column
            break
        other = _no_control_types(con, table, column)
        (num,) = first_row(con, f"select count({quoted(column)}) from {quoted(table)}")
        if num and not other:
            if chosen is None:
                chosen = column
            else:
                _refuse_other_type(con, table, name or "the table", chosen, column)
        elif num and name:
            _say_no_control_type(con, table, name, column, other, account)
    if chosen is None:
        return {}
    if chosen != "control_type":
        _rename_column(con, table, chosen, "control_type")
    _say_words(con, table, name, account)
    return {"control_type": chosen}


def _refuse_other_type(con: Connection, table: str, title: str, chosen: str, other: str) -> None:
    """Raise InputError if two columns give a row different control types."""
    types = [f"canonical_control_type({quoted(column)})" for column in (chosen, other)]
    differs = first_row(
        con,
        f"select {quoted(chosen)}, {quoted(other)} from {quoted(table)}"
        f" where {types[0]} <> {types[1]} limit 1",
    )
    if differs:
        raise InputError(
            f"'{title}': the columns {chosen} and {other} both hold control types, and differ, as"
            f" in '{differs[0]}' and '{differs[1]}'; name the right one control_type"
        )


def _say_no_control_type(
    con: Connection, table: str, name: str, column: str, other: list[str], account: Account
) -> None:
    """Say that a column is not read as control types; a warning if some of its words are some."""
    rows = con.execute(
        f"select distinct {quoted(column)} from {quoted(table)} where"
        f" canonical_control_type({quoted(column)}) in ('negcon', 'poscon', 'empty') order by 1"
    ).fetchall()
    text = (
        f"{name}: column {column} is not read as control types, because of"
        f" {listed(map(repr, other), 3)}"
    )
    if rows:
        lost = listed((repr(word) for (word,) in rows), _SHOWN)
        account.warn(
            "controls", f"{text}; {lost} say nothing of controls, until all its words are known"
        )
    else:
        account.say("controls", text)


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
        account.say(
            "controls", f"{name}: {listed((f'{word} is {meant}' for word, meant in rows), _SHOWN)}"
        )
