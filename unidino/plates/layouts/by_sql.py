"""Layouts that are one SELECT over the tables of a set, each table named by its file.

The program loads the tables that the SELECT names. The SELECT then runs as a user's query: it only
reads, and on a connection that opens no file.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.sql import Connection, quoted
from unidino.core.user_sql import asked, confine
from unidino.plates import tables
from unidino.plates.layouts.filenames import walk_images

# A table that the SELECT may read without a file: the path of each image under the images' folder.
_IMAGE_FILES = "image_file"
# A table that may be missing: `-- Optional: name(column, column).`
_OPTIONAL = re.compile(r"^--\s*Optional:\s*([\w-]+)\s*\(([^)]*)\)", re.MULTILINE)
_FOLDERS = ("*", "*/*", "*/*/*")  # a set may have a table for each plate, in a folder of the plate
_NO_FILES = pa.table({"path": pa.array([], pa.string())})
_PATIENCE_S = 24 * 3600.0  # a set may have millions of images


def is_sql(layout: str) -> bool:
    """Whether a layout is an SQL file, given by path or built in."""
    return layout.endswith(".sql") or layout in assets.names("datasets")


@dataclass(frozen=True)
class Select:
    """The SELECT of a layout with the files of its tables.

    files: files of each table, by name. image_files: paths of the images, relative to their folder,
    if the SELECT names them. not_named: tables that were given but that the SELECT does not name.
    """

    layout: str
    query: str
    files: dict[str, list[Path]]
    image_files: list[str] | None
    not_named: list[Path]

    @classmethod
    def of(cls, layout: str, path: Path, root: Path, given: Sequence[Path]) -> "Select":
        """The SELECT of a layout over the tables in a folder and those given, each by its stem.

        path: folder of the set, or a file in it. root: folder of the images. Files with the same
        stem are one table.
        """
        query = _text(layout)
        folder = path if path.is_dir() else path.parent
        candidates = [file for depth in _FOLDERS for file in sorted(folder.glob(depth))]
        found: dict[str, list[Path]] = {}
        for file in [*filter(tables.is_table, candidates), *given]:
            if _names(query, tables.stem(file)):
                found.setdefault(tables.stem(file).lower(), []).append(file)
        image_files = None
        if _names(query, _IMAGE_FILES):
            image_files = [file.relative_to(root).as_posix() for file in walk_images(root)]
        not_named = [file for file in given if not _names(query, tables.stem(file))]
        return cls(layout, query, found, image_files, not_named)

    def create(self, con: Connection, name: str) -> None:
        """Load the tables, confine the connection, and create the table of the SELECT's rows.

        Raises InputError if the SELECT is not one statement that only reads, opens a file, or lacks
        a table or column.
        """
        for table, files in self.files.items():
            tables.load(con, table, list(dict.fromkeys(files)))
        created = list(self.files)
        for table, columns in _OPTIONAL.findall(self.query):
            if table.lower() not in self.files:
                listed = ", ".join(f"{quoted(c.strip())} varchar" for c in columns.split(","))
                con.execute(f"create table {quoted(table)} ({listed})")
                created.append(table)
        if self.image_files is not None:
            listed = tables.text_table([{"path": file} for file in self.image_files])
            con.register(_IMAGE_FILES, listed if self.image_files else _NO_FILES)
        confine(con)
        what = f"layout {self.layout}"
        try:
            with asked(con, self.query, what=what, patience_s=_PATIENCE_S) as answer:
                answer.create(name)
        except InputError as error:
            if lacking := _lacking(error.__cause__, sorted(self.files)):
                raise InputError(f"{what} {lacking}") from error
            raise
        for table in created:
            con.execute(f"drop table {quoted(table)}")


def _text(layout: str) -> str:
    """The SQL text of a layout.

    Raises InputError if there is no such file, or if it is not text.
    """
    if not layout.endswith(".sql"):
        return assets.sql("datasets", layout)
    try:
        return Path(layout).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"no such layout file: '{layout}'") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the layout file '{layout}': {error}") from error


def _names(query: str, table: str) -> bool:
    """Whether an SQL text names a table."""
    return bool(re.search(rf"(?<![\w-]){re.escape(table)}(?![\w-])", query, re.IGNORECASE))


def _lacking(error: BaseException | None, found: Sequence[str]) -> str:
    """Which table or column a SELECT lacks, in words; empty if the error is another one."""
    if isinstance(error, duckdb.CatalogException):
        table = re.search(r"Table with name (\S+) does not exist", str(error))
        if table:
            return (
                f"needs the table {table[1]}; put {table[1]}.csv in the folder or pass it with"
                f" --metadata (tables found: {', '.join(found) or 'none'})"
            )
    if isinstance(error, duckdb.BinderException):
        column = re.search(r'column "([^"]+)"', str(error), re.IGNORECASE)
        if column:
            return f"needs the column {column[1]}, which its tables lack"
    return ""
