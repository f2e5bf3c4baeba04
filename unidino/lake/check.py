"""Problems of a lake: invalid rows of the catalog, and files that are missing or changed."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import polars as pl

from unidino.core import assets
from unidino.core.files import file_sha256
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.lake.stacks import stack_of


@dataclass(frozen=True)
class Problem:
    """One invalid row or file. check: name of the query of `sql/checks`, or kind of the problem."""

    check: str
    problem: str


def check(lake: Lake) -> Results[Problem]:
    """Every problem of a lake: rows that `sql/checks` finds, files that are missing or changed.

    >>> import unidino as ud
    >>> len(ud.check(lake))
    0
    """
    problems = [*_wrong_rows(lake), *_wrong_parts(lake), *_missing_fields(lake)]
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


def _missing_fields(lake: Lake) -> Iterator[Problem]:
    fields = lake.look_up(
        "select plate.uri, field.path from field join plate on plate_id = plate"
        " where field.path is not null"
    )
    for uri, path in fields.iter_rows():
        group = lake.resolve(uri) / stack_of(path).group
        if not ((group / "zarr.json").is_file() or (group / ".zattrs").is_file()):
            yield Problem("missing_field", f"{uri}/{path}")
