"""What readers note beside the manifest: what is wrong with an entry, and its measurement."""

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.sql import Connection, first_row, quoted
from unidino.plates.reserved import MEASUREMENT, PROBLEM

_NUM_LISTED = 3


def take_unplaced(con: Connection, table: str) -> list[str]:
    """Remove the wrong rows that belong to no well; returns what is wrong with them."""
    listed = _columns(con, table)
    if PROBLEM not in listed or "well" not in listed:
        return []
    wrong = f"{quoted(PROBLEM)} is not null and well is null"
    problems = con.execute(f"select {quoted(PROBLEM)} from {quoted(table)} where {wrong}")
    found = [row[0] for row in problems.fetchall()]
    con.execute(f"delete from {quoted(table)} where {wrong}")
    return found


def take_unknown_wavelengths(con: Connection, table: str) -> None:
    """Make NULL of wavelengths of 0 nm and NaN, which instruments write for none; says so."""
    for name in {"excitation_nm", "emission_nm"} & set(_columns(con, table)):
        unknown = f"try_cast({quoted(name)} as double) in (0, 'nan'::double)"
        num, path = first_row(
            con, f"select count(*), min(path) from {quoted(table)} where {unknown}"
        )
        if num:
            con.execute(f"update {quoted(table)} set {quoted(name)} = null where {unknown}")
            kind = name.removesuffix("_nm")
            log.warning(
                f"the {kind} of {num} images is 0 nm or no number, such as '{path}': unknown"
            )


def create_entries(con: Connection, table: str) -> None:
    """Create `entry` from `numbered`: problem and measurement of each line, NULL if there is none.

    table: where the rows of `numbered` come from.
    """
    listed = _columns(con, table)
    problem, measurement = (
        quoted(name) if name in listed else "null::varchar" for name in (PROBLEM, MEASUREMENT)
    )
    con.execute(
        f"create table entry as select _number as line, {problem} as problem,"
        f" {measurement} as measurement from numbered"
    )


def problems_of_entries(con: Connection) -> list[tuple[int, str]]:
    """Line and problem of the rows of `manifest` that a reader found wrong."""
    return con.execute(
        "select line, problem from manifest inner join entry using (line)"
        " where problem is not null order by line"
    ).fetchall()


def refuse_mixed(con: Connection) -> None:
    """Raise InputError if two measurements have a well of one plate: which is meant is not known.

    A plate of several measurements without a well in common is named in a warning.
    """
    for plate, places, well, both in con.execute(assets.sql("queries", "measurement")).fetchall():
        if well:
            raise InputError(
                f"plate {plate} is in '{both[0]}' and in '{both[1]}', and both have the well"
                f" {well}; measurements are not mixed: pass one of the two as PATH, or rename one"
                " by --plate-names FOLDER=NEW"
            )
        listed = ", ".join(f"'{place}'" for place in places[:_NUM_LISTED])
        more = f" and {len(places) - _NUM_LISTED} more" if len(places) > _NUM_LISTED else ""
        log.warning(f"plate {plate} is put together from {listed}{more}, which share no well")


def _columns(con: Connection, table: str) -> list[str]:
    return [row[0] for row in con.execute(f"describe {quoted(table)}").fetchall()]
