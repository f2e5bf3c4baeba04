"""Names that the user gives to plates, and two measurements of one plate."""

from collections.abc import Iterable, Sequence
from os.path import commonpath
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import Connection

Rule = dict[str, str | None]  # plate or folder, and the name that is given

# The next step for a name that cannot be one.
RENAMING = {
    "plate": "; give it another name by --plate-names OLD=NEW or FOLDER=NEW",
    "dataset": "; give it another name by --dataset, or in the table that names it",
}


def rename_plates(con: Connection, renamings: Sequence[str], source: Path, root: Path) -> None:
    """Rename plates of the rows in `typed`.

    renamings: OLD=NEW, also several with commas between them. OLD is the name of a plate, or a
    folder that has images of a plate. source, root: folders that a relative folder may start from.
    Raises InputError if OLD is neither, or if two plates would get one name.
    """
    if not renamings:
        return
    known = [
        row[0]
        for row in con.execute(
            "select distinct plate from typed where plate is not null order by plate"
        ).fetchall()
    ]
    parameters = {"root": str(root.resolve())}
    rules: list[Rule] = []
    for old, new in old_and_new(renamings):
        if old in known:
            rules.append({"plate": old, "folder": None, "given": new})
            continue
        folders = [f"{(start / old).resolve()}/" for start in (Path(), source, root)]
        found = con.execute(
            "select folder from (select unnest($folders::varchar[]) as folder) where exists ("
            "from typed where starts_with(if(path[1] = '/', path, $root || '/' || path), folder))",
            parameters | {"folders": folders},
        ).fetchall()
        if not found:
            raise InputError(
                f"--plate-names {old}={new}: no plate and no folder of images has this name; the"
                f" plates are {', '.join(known)}"
            )
        rules.append({"plate": None, "folder": found[0][0], "given": new})
    rules.sort(key=lambda rule: rule["folder"] is None)  # a folder says more than a name
    query = assets.sql("queries", "renamed_plate")
    _refuse_merged(con, query, parameters | {"rules": rules})
    con.execute(f"create or replace table typed as {query}", parameters | {"rules": rules})


def old_and_new(renamings: Iterable[str]) -> list[tuple[str, str]]:
    """Old and new name of each renaming; a name with a comma stands alone in its text."""
    pairs = []
    for text in renamings:
        parts = text.split(",")
        for part in parts if all("=" in part for part in parts) else [text]:
            old, equals, new = part.rpartition("=")
            if not (equals and old.strip() and new.strip()):
                raise InputError(f"--plate-names '{part}': write OLD=NEW, or FOLDER=NEW")
            pairs.append((normalize("NFC", old.strip()), normalize("NFC", new.strip())))
    return pairs


def _refuse_merged(con: Connection, query: str, parameters: dict[str, object]) -> None:
    """Raise InputError if plates of different names would get one name."""
    merged = con.execute(
        "select renamed.plate, list(distinct typed.plate order by typed.plate) as old"
        f" from ({query}) as renamed inner join typed using (line)"
        " group by renamed.plate having len(old) > 1 order by 1 limit 1",
        parameters,
    ).fetchall()
    if merged:
        new, old = merged[0]
        raise InputError(
            f"--plate-names would make one plate '{new}' of {' and '.join(old)}; give each a name"
            " of its own"
        )


def refuse_two_measurements(con: Connection, source: Path) -> None:
    """Raise InputError if the repeated rows of a plate in `manifest` are of different folders.

    source: folder of the images, which the folders are named from.
    """
    repeated = con.execute(assets.sql("queries", "repeated_plane")).fetchall()
    if not repeated:
        return
    plate, *_, paths = repeated[0]
    folders = _where_they_part(paths[0], paths[-1])
    for other, *_, listed in repeated:
        for folder in folders:
            if other == plate and sum(path.startswith(f"{folder}/") for path in listed) != 1:
                return  # rows that are repeated within a folder
    first, second = (_from(folder, source) for folder in folders)
    raise InputError(
        f"plate '{plate}' has the same wells and fields in two folders, '{first}' and '{second}';"
        f" if they are two measurements, name one by --plate-names '{second}={plate}_2', or ingest"
        " one folder alone"
    )


def _where_they_part(first: str, second: str) -> list[str]:
    """The folders of two files that lie side by side; the files themselves if there are none."""
    depth = len(PurePosixPath(commonpath([first, second])).parts) + 1
    return [str(PurePosixPath(*PurePosixPath(path).parts[:depth])) for path in (first, second)]


def _from(folder: str, source: Path) -> str:
    """A folder as a user names it: from the folder of the images if it is in there."""
    start = source.resolve() if source.is_dir() else source.resolve().parent
    return str(Path(folder).relative_to(start)) if Path(folder).is_relative_to(start) else folder
