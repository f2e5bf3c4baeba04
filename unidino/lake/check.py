"""Whether the catalog and the files of a lake agree."""

from dataclasses import dataclass

from unidino.core import assets
from unidino.core.files import file_sha256
from unidino.lake.lake import Lake


@dataclass(frozen=True)
class Problem:
    """One offending row or file."""

    check: str
    problem: str


def check(lake: Lake) -> list[Problem]:
    """What is wrong: rows found by `sql/checks`, files that are missing or changed."""
    problems = []
    for name in assets.names("checks"):
        if not name.startswith("manifest_"):
            for row in lake.look_up(assets.sql("checks", name)).iter_rows():
                problems.append(Problem(name, ", ".join(str(value) for value in row)))
    for uri, sha256 in lake.look_up("select uri, sha256 from part order by uri").iter_rows():
        path = lake.resolve(uri)
        if not path.is_file():
            problems.append(Problem("missing_file", uri))
        elif file_sha256(path) != sha256:
            problems.append(Problem("changed_file", uri))
    fields = lake.look_up(
        "select plate.uri, field.path from field join plate on plate_id = plate"
        " where field.path is not null"
    )
    for uri, path in fields.iter_rows():
        group = lake.resolve(uri) / path.partition("#")[0]
        if not ((group / "zarr.json").is_file() or (group / ".zattrs").is_file()):
            problems.append(Problem("missing_field", f"{uri}/{path}"))
    return problems
