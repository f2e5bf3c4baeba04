"""Records of plates whose rows a user changed by SQL, or an upgrade of the catalog."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unidino.core.sql import Connection, quoted
from unidino.lake.catalog import Landing
from unidino.lake.records import OF_PLATE, is_whole_record, keep_plate, present, states_in

if TYPE_CHECKING:
    from unidino.lake.file_catalog import FileLanding
    from unidino.lake.lake import Lake


def keep_plates(lake: "Lake", landing: "FileLanding", *, missing_only: bool = False) -> None:
    """Keep a record of every plate; the states of files stay those of the record before.

    missing_only: keep those records that are there.
    """
    known = _records(landing.con)
    for (plate,) in landing.con.execute("select plate_id from plate order by all").fetchall():
        if plate not in known or not missing_only:
            keep_again(lake, landing, plate)


def keep_again(lake: "Lake", landing: Landing, plate: str) -> None:
    """Keep the rows of a plate that were changed; the states of its files stay."""
    with landing.tables(["file"]) as con:
        uri = _records(con).get(plate)
        path = lake.resolve(uri) if uri else None
        files = states_in(con, path) if path and is_whole_record(path) else None
    keep_plate(lake, landing, plate, files)


def _records(con: Connection) -> dict[str, str]:
    """Uri of the record of each plate that has one."""
    return dict(con.execute("select plate, uri from file where kind = 'record'").fetchall())


@contextmanager
def plates_kept(lake: "Lake", landing: "FileLanding") -> Iterator[None]:
    """A block that may change rows by SQL; records of the plates that it changes are kept anew."""
    before = _row_sums(landing.con)
    yield
    after = _row_sums(landing.con)
    for plate in sorted(plate for plate, sums in after.items() if sums != before.get(plate)):
        keep_again(lake, landing, plate)


def _row_sums(con: Connection) -> dict[str, dict[str, int]]:
    """For each plate that is registered, sums of the hashes of its rows, by table."""
    if not present(con).issuperset((*OF_PLATE, "file", "run")):
        return {}  # of an earlier version, or dropped by a user
    sums: dict[str, dict[str, int]] = {
        plate: {} for (plate,) in con.execute("select plate_id from plate").fetchall()
    }
    for table in OF_PLATE:
        key = "plate_id" if table == "plate" else "plate"
        query = f"select {key}, sum(hash(_row)::hugeint) from {quoted(table)} as _row group by all"
        for plate, total in con.execute(query).fetchall():
            if plate in sums:
                sums[plate][table] = total
    return sums
