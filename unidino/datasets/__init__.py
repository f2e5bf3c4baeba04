"""From any layout on disk to the manifest: one row per image, in the manifest's columns.

A layout is one of

- `manifest`: a CSV or Parquet file in the manifest's own columns;
- a file of `sql/datasets`, or any `.sql` file: one SELECT that turns the tables of a published set
  into the manifest's columns;
- a reader: file names of a vendor, or of any pattern.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from unidino import assets
from unidino.catalog import Connection, quoted, scratch
from unidino.datasets import filenames, harmony, tables
from unidino.errors import InputError, choose

READERS = ("filename", "harmony", "manifest")


def layouts() -> list[str]:
    """Names of the layouts that are built in."""
    return sorted([*READERS, *assets.names("datasets")])


@dataclass(frozen=True)
class Manifest:
    """Rows for every image, checked.

    images: columns of `schemas/manifest.schema.json`; `path` is absolute; ordered by plate, well,
    field and channel_index.
    notes: one line for each table that was joined: what matched and what did not.
    """

    images: pa.Table
    notes: tuple[str, ...]


def read_manifest(
    path: Path,
    layout: str,
    *,
    dataset: str | None = None,
    metadata: Sequence[Path] = (),
    platemap: Path | None = None,
    pattern: str | None = None,
    channel_names: Sequence[str] = (),
    images: Path | None = None,
) -> Manifest:
    """The manifest of the images under a path.

    path: folder of the export or set, or the manifest file itself.
    metadata, platemap: tables joined by plate and well, plate, well, or the columns they share.
    pattern: regular expression with named groups, for the layout `filename`.
    channel_names: names of the channels in order of their index.
    images: folder that relative paths of images start from.
    Raises InputError that names the file, line and column of what is wrong.
    """
    if not path.exists():
        raise InputError(f"no such file or folder: '{path}'")
    con = scratch()
    try:
        extra_tables = [*([platemap] if platemap else []), *metadata]
        if layout == "manifest":
            tables.load(con, "_images", path)
        elif layout.endswith(".sql") or layout in assets.names("datasets"):
            _run_dataset_sql(con, layout, path, extra_tables)
            extra_tables = []
        else:
            choose("layout", layout, layouts())
            rows = (
                harmony.scan(path) if layout == "harmony" else filenames.scan(path, layout, pattern)
            )
            con.register("scanned", rows)
            con.execute("create table _images as from scanned")
        tables.rename_to_manifest(con, "_images")
        notes = [tables.join(con, "_images", table) for table in extra_tables]
        root = images or _image_root(path)
        tables.finish(con, dataset or _default_dataset(path), root, list(channel_names))
        tables.validate(con, source=path)
        return Manifest(con.sql("from manifest order by all").to_arrow_table(), tuple(notes))
    finally:
        con.close()


def _run_dataset_sql(con: Connection, layout: str, path: Path, given: Sequence[Path]) -> None:
    """Run a layout's SELECT over the tables in the folder and those given, each by its stem."""
    if layout.endswith(".sql"):
        if not Path(layout).is_file():
            raise InputError(f"no such layout file: '{layout}'")
        query = Path(layout).read_text(encoding="utf-8")
    else:
        query = assets.sql("datasets", layout)
    folder = path if path.is_dir() else path.parent
    found = [file for file in sorted(folder.iterdir()) if tables.is_table(file)]
    for table in [*found, *given]:
        tables.load(con, tables.stem(table), table)
    tables.run_select(con, "_images", query, layout)
    for name in {tables.stem(table) for table in [*found, *given]}:
        con.execute(f"drop table {quoted(name)}")


def _image_root(path: Path) -> Path:
    """Folder that relative image paths start from: `images` beside the tables if there is one."""
    folder = path if path.is_dir() else path.parent
    for name in ("images", "Images"):
        if (folder / name).is_dir():
            return folder / name
    return folder


def _default_dataset(path: Path) -> str:
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    return folder.parent.name if folder.name.lower() == "images" else folder.name
