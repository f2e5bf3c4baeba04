"""Joins of a user's tables to the rows of images or profiles, and what is said of them."""

from collections.abc import Sequence

from unidino.core import assets
from unidino.core.account import Account, number_of
from unidino.core.errors import InputError
from unidino.core.sql import Connection, first_row, quoted
from unidino.plates.near_names import near_hint
from unidino.plates.reserved import MAY_MATCH, NUM_ROWS, PLACE, STATED
from unidino.plates.tables import columns, key_of

_KEY_FIRST = (("plate", "well"), ("barcode", "well"), ("well",), ("plate",))
_PLACED = ("plate", "well")  # a row without them is of no well
_UNITS = {"well": "wells", "plate": "plates", "field": "fields"}
_NO_PLATES = ("platemap", "platetype", "plateformat", "sourceplate", "platelayout", "row", "col")
_SHOWN = 5


def join(
    con: Connection,
    table: str,
    joined: str,
    name: str,
    account: Account,
    *,
    states: bool = False,
) -> None:
    """Join a table of metadata to a table of images; the account says what matched.

    The key is plate and well, barcode and well, else well, else plate, else every column that both
    tables have. Values of the joined table replace those of the images, which is said. An empty key
    matches nothing, but for rows whose key a table states to be empty.
    name: of the file of the joined table. states: whether the rows of `table` are a user's, so that
    their empty values are stated.
    Raises InputError if the tables share no column, if two joined rows have the same key, or if the
    plates of the joined rows are not certain.
    """
    _spell_alike(con, joined, columns(con, table))
    _find_plates(con, table, joined, name, account)
    have, new = columns(con, table), columns(con, joined)
    keys = _join_keys(have, new, name)
    _add_stated(con, table, keys, have if states else [])
    for side in (table, joined):
        if "well" in keys:
            con.execute(f"update {quoted(side)} set well = well_or_text(well)")
        for key in set(keys) & _numbers():  # 0.3 and 0.300 are the same key
            column = quoted(key)
            con.execute(
                f"update {quoted(side)} set {column} ="
                f" coalesce(try_cast({column} as double)::varchar, {column})"
            )
    _refuse_repeated_keys(con, joined, keys, name)
    gives = [c for c in new if c not in keys]
    on = _condition(keys)
    _say_matches(con, table, joined, keys, name, account)
    _say_empty_key(con, table, joined, keys, name, account)
    _say_replaced(con, table, joined, [c for c in gives if c in have], on, name, account)
    kept = [f"t.{quoted(c)}" for c in have if c not in gives]
    given = [
        f"coalesce(j.{quoted(c)}, t.{quoted(c)}) as {quoted(c)}" if c in have else f"j.{quoted(c)}"
        for c in gives
    ]
    places = [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]
    kept += [f"t.{quoted(c)}" for c in places if c in PLACE and c not in (STATED, MAY_MATCH)]
    con.execute(
        f"create table merged as select {', '.join(kept + given)}, if(j._line is null, t.{STATED},"
        f" t.{STATED} || $gives::varchar[]) as {STATED}"
        f" from {quoted(table)} t left join {quoted(joined)} j on {on}",
        {"gives": gives},
    )
    con.execute(f"drop table {quoted(table)}")
    con.execute(f"alter table merged rename to {quoted(table)}")


def _spell_alike(con: Connection, joined: str, have: Sequence[str]) -> None:
    """Spell the columns of a joined table as those of the images that differ only by case."""
    spelled = {column.lower(): column for column in have}
    for column in columns(con, joined):
        other = spelled.get(column.lower(), column)
        if other != column:
            con.execute(
                f"alter table {quoted(joined)} rename column {quoted(column)} to {quoted(other)}"
            )


def _find_plates(con: Connection, table: str, joined: str, name: str, account: Account) -> None:
    """Take the barcodes of a joined table as its plates, if it names no plates and they are some.

    Raises InputError if they are none, and the images have several plates.
    """
    have, new = columns(con, table), columns(con, joined)
    if "plate" in new or "well" not in new or not {"plate", "well"} <= set(have):
        return
    (num_plates, plate) = first_row(
        con, f"select count(distinct plate), min(plate) from {quoted(table)}"
    )
    if "barcode" in new and "barcode" not in have:
        num, barcode, known = first_row(
            con,
            "select count(distinct barcode), min(barcode), coalesce(bool_or(barcode in"
            f" (select plate from {quoted(table)})), false) from {quoted(joined)}",
        )
        if known:
            con.execute(f"alter table {quoted(joined)} rename column barcode to plate")
            account.say("tables", f"{name}: its barcodes are plates of the images")
        elif num and (num > 1 or num_plates > 1):
            raise InputError(
                f"'{name}': its barcodes, such as {barcode}, are no plates of the images, which are"
                f" such as {plate}; name the plates of its rows in a column plate, or leave the"
                " barcodes out"
            )
        elif num:
            account.warn(
                "tables",
                f"{name}: barcode {barcode} is taken as that of the only plate, {plate}, and its"
                " rows as wells of it",
            )
    odd = [c for c in new if "plate" in key_of(c) and not any(n in key_of(c) for n in _NO_PLATES)]
    if odd and num_plates > 1:
        account.warn(
            "tables",
            f"{name}: column {odd[0]} is not read as the plate, so each row is joined to its well"
            f" of all {num_plates} plates; name it plate if it is",
        )


def _add_stated(con: Connection, table: str, keys: Sequence[str], stated: Sequence[str]) -> None:
    """Add the names of the columns whose values, also empty ones, a table states for each row.

    A second column tells whether no key of the row is empty, unless it is stated to be.
    """
    if STATED not in _all_columns(con, table):
        con.execute(
            f"create or replace table {quoted(table)} as select *, $stated::varchar[] as {STATED}"
            f" from {quoted(table)}",
            {"stated": list(stated)},
        )
    told = {f"k{i}": key for i, key in enumerate(keys) if key not in _PLACED}
    parts = [f"{quoted(key)} is not null" for key in keys if key in _PLACED]
    parts += [
        f"({quoted(key)} is not null or list_contains({STATED}, ${name}))"
        for name, key in told.items()
    ]
    con.execute(
        f"create or replace table {quoted(table)} as select *, {' and '.join(parts)} as {MAY_MATCH}"
        f" from {quoted(table)}",
        told,
    )


def _equal(keys: Sequence[str]) -> str:
    return " and ".join(f"t.{quoted(k)} is not distinct from j.{quoted(k)}" for k in keys)


def _condition(keys: Sequence[str]) -> str:
    """SQL: whether a row of images and a joined row belong together."""
    return f"{_equal(keys)} and t.{MAY_MATCH}"


def _numbers() -> set[str]:
    """Columns of the manifest whose numbers may have a fraction."""
    properties = assets.manifest_schema()["properties"]
    return {name for name, rule in properties.items() if rule["type"] == "number"}


def _join_keys(have: list[str], new: list[str], name: str) -> list[str]:
    shared = [c for c in new if c in have]
    for candidate in _KEY_FIRST:
        if set(candidate) <= set(shared):
            return list(candidate)
    if not shared:
        raise InputError(
            f"'{name}' shares no column with the images; it has {', '.join(new)};"
            f" the images have {', '.join(have)}"
        )
    return shared


def _refuse_repeated_keys(con: Connection, joined: str, keys: list[str], name: str) -> None:
    key_list = ", ".join(map(quoted, keys))
    twice = first_row(
        con,
        f"select {key_list}, min(_line), max(_line) from {quoted(joined)} group by {key_list}"
        " having count(*) > 1 order by all limit 1",
    )
    if twice:
        values = ", ".join(f"{k} {v}" for k, v in zip(keys, twice, strict=False))
        hint = (
            "; if they are of several plates, name these in a column plate"
            if keys == ["well"]
            else ""
        )
        raise InputError(
            f"'{name}' has two rows for {values} (lines {twice[-2]} and {twice[-1]});"
            f" leave one row for each{hint}"
        )


def _say_matches(
    con: Connection, table: str, joined: str, keys: list[str], name: str, account: Account
) -> None:
    """Say how many keys of the images have a row, which have none, how many rows are unused.

    Without any match it is a warning, with keys that are nearly those of the images.
    """
    key_list, equal = ", ".join(map(quoted, keys)), _equal(keys)
    con.execute(
        f"create or replace temp table _key as select distinct {key_list} from {quoted(table)}"
        f" where {MAY_MATCH}"
    )
    unmatched = con.execute(
        f"select {key_list} from _key t where not exists (from {quoted(joined)} j where {equal})"
        f" and coalesce({key_list}) is not null order by all"
    ).fetchall()
    (num_matched,) = first_row(
        con, f"select count(*) from _key t where exists (from {quoted(joined)} j where {equal})"
    )
    counted = f"sum({NUM_ROWS})" if NUM_ROWS in _all_columns(con, joined) else "count(*)"
    rest = f"from {quoted(joined)} j where not exists (from _key t where {equal})"
    (num_unused,) = first_row(con, f"select coalesce({counted}, 0)::bigint {rest}")
    unused = con.execute(f"select {key_list} {rest} order by _line limit {_SHOWN}").fetchall()
    what = _UNITS.get(keys[-1], "") or f"values of {', '.join(keys)}"
    text = (
        f"{name}: joined by {', '.join(keys)}; {what}: {num_matched} of"
        f" {num_matched + len(unmatched)} matched, {num_unused} rows not used"
    )
    if unmatched:
        text += f"; nothing for {_shown(unmatched[:_SHOWN], len(unmatched))}"
    if unmatched and unused:
        text += f"; not used are {_shown(unused, num_unused)}"
        text += near_hint(keys, unmatched, con.execute(f"select {key_list} {rest}").fetchall())
    (account.say if num_matched or not unmatched else account.warn)("tables", text)


def _shown(found: Sequence[tuple[object, ...]], num: int) -> str:
    shown = "; ".join(" ".join("(empty)" if v is None else str(v) for v in key) for key in found)
    return shown + (f" and {num - len(found)} more" if num > len(found) else "")


def _say_empty_key(
    con: Connection, table: str, joined: str, keys: list[str], name: str, account: Account
) -> None:
    """Say which rows take the joined row without a key, because their own is stated to be empty."""
    empty = " and ".join(f"t.{quoted(k)} is null" for k in keys)
    places = [c for c in _PLACED if c in columns(con, table)]
    place = "concat_ws(' ', " + ", ".join(f"t.{quoted(c)}" for c in places) + ")"
    if not places:
        place = "'a row'"
    num, first, line = first_row(
        con,
        f"select count(distinct {place}), min({place}), min(j._line) from {quoted(table)} t"
        f" inner join {quoted(joined)} j on {_condition(keys)} where {empty}",
    )
    if num:
        account.warn(
            "tables",
            f"{name}: {number_of(num, 'well')} whose {', '.join(keys)} is empty, such as {first}:"
            f" taken from line {line}, whose {', '.join(keys)} is empty too",
        )


def _say_replaced(
    con: Connection,
    table: str,
    joined: str,
    both: Sequence[str],
    on: str,
    name: str,
    account: Account,
) -> None:
    """Say which values of the images those of the joined table replace."""
    places = [c for c in _PLACED if c in columns(con, table)]
    place = "concat_ws(' ', " + ", ".join(["''", *(f"t.{quoted(c)}" for c in places)]) + ")"
    for column in both:
        old, new = f"t.{quoted(column)}::varchar", f"j.{quoted(column)}::varchar"
        numbers = f"try_cast({old} as double) <> try_cast({new} as double)"
        differ = f"{old} <> {new} and coalesce({numbers}, true)"
        if column == "control_type":
            differ = f"canonical_control_type({old}) <> canonical_control_type({new})"
        num, example = first_row(
            con,
            f"select count(distinct {place}), min([trim({place}), {old}, {new}])"
            f" from {quoted(table)} t inner join {quoted(joined)} j on {on} where {differ}",
        )
        if num:
            where, before, now = example
            account.warn(
                "tables",
                f"{name}: replaces {column} of {number_of(num, 'well')}, such as that of {where},"
                f" '{before}', by '{now}'",
            )


def _all_columns(con: Connection, table: str) -> list[str]:
    return [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]
