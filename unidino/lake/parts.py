"""Immutable files of vectors, and their rows in the catalog."""

from collections.abc import Mapping, Sequence
from typing import Any

from unidino.core.files import file_sha256
from unidino.core.sql import insert
from unidino.lake.lake import Lake
from unidino.lake.runs import Run


def land_parts(
    lake: Lake, run: Run, parts: Mapping[str, Mapping[str, Any]], *, gone: Sequence[str] = ()
) -> None:
    """Record whole files, by uri, in the catalog, in place of those that were there.

    gone: uris that are forgotten in the same moment.
    """
    rows = part_rows(lake, run, parts)
    with lake.write() as con:
        run.record(con)
        insert(con, "part", rows, replace=True)
        con.execute("delete from part where list_contains($gone, uri)", {"gone": list(gone)})


def part_rows(lake: Lake, run: Run, parts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table `part` for whole files, by uri, with their hashes."""
    return [
        {"uri": uri, "sha256": file_sha256(lake.resolve(uri)), "run_id": run.run_id} | dict(part)
        for uri, part in parts.items()
    ]
