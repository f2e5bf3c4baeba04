"""Problems of a lake: invalid rows of the catalog, and files that are missing or changed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from unidino.core import assets
from unidino.core.errors import LakeError
from unidino.core.files import file_sha256
from unidino.core.progress import progress_bar
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.lake.pixels import read_plane
from unidino.lake.stacks import stack_of
from unidino.lake.stored import Expected, faults

_THREADS = 8
_SAME_MEAN = 1e-6  # relative; sums of pixels are exact


@dataclass(frozen=True)
class Problem:
    """One invalid row or file. check: name of the query of `sql/checks`, or kind of the problem."""

    check: str
    problem: str


def check(lake: Lake, *, pixels: bool = False) -> Results[Problem]:
    """Every problem of a lake: rows that `sql/checks` finds, files that are missing or changed.

    Fields are judged by their metadata and the sizes of their files. pixels: read every plane too,
    and compare its mean with the one at its ingest.

    >>> import unidino as ud
    >>> len(ud.check(lake))
    0
    """
    problems = [*_wrong_rows(lake), *_wrong_parts(lake), *_wrong_fields(lake, pixels)]
    return Results(problems, _table)


def _table(problems: Sequence[Problem]) -> pl.DataFrame:
    schema = {"check": pl.String, "problem": pl.String}
    return pl.DataFrame([asdict(problem) for problem in problems], schema)


def _wrong_rows(lake: Lake) -> Iterator[Problem]:
    for name in assets.names("checks"):
        if not name.startswith("manifest_"):  # those check a manifest before it is ingested
            for row in lake.look_up(assets.sql("checks", name)).iter_rows():
                yield Problem(name, ", ".join(str(value) for value in row))


def _wrong_parts(lake: Lake) -> Iterator[Problem]:
    for uri, sha256 in lake.look_up("select uri, sha256 from part order by uri").iter_rows():
        path = lake.resolve(uri)
        if not path.is_file():
            yield Problem("missing_file", uri)
        elif file_sha256(path) != sha256:
            yield Problem("changed_file", uri)


def _wrong_fields(lake: Lake, pixels: bool) -> Iterator[Problem]:
    fields = lake.look_up(assets.sql("queries", "stored_field")).to_dicts()
    with (
        ThreadPoolExecutor(_THREADS) as pool,
        progress_bar("fields", len(fields), "field") as advance,
    ):
        for found in pool.map(partial(_wrong_field, lake, pixels), fields):
            advance(1)
            yield from found


def _wrong_field(lake: Lake, pixels: bool, field: dict[str, Any]) -> list[Problem]:
    path = lake.resolve(field["uri"])
    group = Path(stack_of(str(path)).group)
    if not any((group / name).is_file() for name in ("zarr.json", ".zattrs", ".zgroup")):
        return [Problem("missing_field", field["uri"])]
    counted = [c for c, mean in zip(field["channels"], field["means"], strict=True) if mean]
    expected = Expected(field["height_px"], field["width_px"], counted)
    problems = [
        Problem("unreadable_field", f"{field['uri']}: {fault}")
        for fault in faults(str(path), expected)
    ]
    if pixels and not problems:
        means = zip(field["channels"], field["means"], strict=True)
        problems = [p for channel, mean in means for p in _wrong_plane(path, field, channel, mean)]
    return problems


def _wrong_plane(
    path: Path, field: dict[str, Any], channel: int, mean: float | None
) -> Iterator[Problem]:
    try:
        plane = read_plane(path, channel)
    except LakeError as error:
        yield Problem("unreadable_plane", str(error))
        return
    now = float(plane.sum(dtype="uint64")) / plane.size
    if mean is not None and abs(now - mean) > _SAME_MEAN * max(abs(mean), 1.0):
        yield Problem(
            "changed_pixels",
            f"{field['uri']}: the mean of channel {channel} is {now:.6g}; it was {mean:.6g}",
        )
