"""From any layout on disk to the manifest: one row per image, in the manifest's columns.

A layout is one of

- `manifest`: a CSV or Parquet file in the manifest's own columns;
- a file of `sql/datasets`, or any `.sql` file: one SELECT that turns the tables of a published set
  into the manifest's columns;
- a reader: the export of an instrument, or file names of any pattern.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.core.sql import Connection, keep_small, quoted, scratch
from unidino.plates import manifest, tables
from unidino.plates.layouts import (
    cellvoyager,
    filenames,
    harmony,
    imagexpress,
    ometiff,
    omezarr,
    scanr,
)
from unidino.plates.manifest import Choice, Manifest

__all__ = ["Choice", "Manifest", "layouts", "read_manifest"]

# Readers take the folder and --pattern.
_READERS: dict[str, Callable[[Path, str | None], pa.Table]] = {
    "cellvoyager": lambda path, _: cellvoyager.scan(path),
    "filename": lambda path, pattern: filenames.scan(path, "filename", pattern),
    "harmony": lambda path, _: harmony.scan(path),
    "imagexpress": lambda path, _: imagexpress.scan(path),
    "ome-tiff": ometiff.scan,
    "ome-zarr": lambda path, _: omezarr.scan(path),
    "scanr": lambda path, _: scanr.scan(path),
}
# What an SQL layout may read besides its tables: each image under the folder of the images.
_FILES = "image_file"
# A table that an SQL layout can do without: `-- Optional: name(column, column).`
_OPTIONAL = re.compile(r"^--\s*Optional:\s*([\w-]+)\s*\(([^)]*)\)", re.MULTILINE)


def layouts() -> list[str]:
    """Names of the layouts that are built in."""
    return sorted(["manifest", *_READERS, *assets.names("datasets")])


def read_manifest(
    path: Path,
    layout: str,
    *,
    dataset: str | None = None,
    metadata: Sequence[Path] = (),
    platemap: Path | None = None,
    pattern: str | None = None,
    images: Path | None = None,
    choice: Choice | None = None,
    allow_incomplete: bool = False,
) -> Manifest:
    """The manifest of the images under a path.

    path: folder of the export or set, or the manifest file itself.
    metadata, platemap: tables joined by plate and well, plate, well, or the columns they share.
    pattern: regular expression with named groups, for the layouts `filename` and `ome-tiff`.
    images: folder that relative paths of images start from.
    choice: channels, slice and time point to take.
    allow_incomplete: leave out fields with rows that are wrong instead of raising.
    Raises InputError that names the file, line and column of what is wrong.
    """
    if not path.exists():
        raise InputError(f"no such file or folder: '{path}'")
    root = images or _image_root(path)
    given = [*([platemap] if platemap else []), *metadata]
    con = scratch()
    keep_small(con)
    try:
        if layout == "manifest":
            tables.load(con, "_images", [path])
        elif layout.endswith(".sql") or layout in assets.names("datasets"):
            given = _run_dataset_sql(con, layout, path, root, given)
        else:
            rows = _READERS[choose("layout", layout, layouts())](path, pattern)
            con.register("scanned", rows)
            con.execute("create table _images as from scanned")
        tables.rename_to_manifest(con, "_images")
        notes = []
        for file in given:
            tables.load(con, "joined", [file])
            tables.rename_to_manifest(con, "joined")
            manifest.check_metadata(con, "joined", file)
            notes.append(tables.join(con, "_images", "joined", file.name))
        found = manifest.build(
            con,
            source=path,
            dataset=dataset or _default_dataset(path),
            root=root,
            choice=choice or Choice(),
            allow_incomplete=allow_incomplete,
        )
        return Manifest(found.images, found.digests, tuple(notes), found.problems)
    finally:
        con.close()


def _run_dataset_sql(
    con: Connection, layout: str, path: Path, root: Path, given: Sequence[Path]
) -> list[Path]:
    """Run a layout's SELECT over the tables in the folder and those given, each by its stem.

    Files of one stem, such as a table for each plate in a folder of its own, are one table.
    Returns the given tables that the SELECT does not name: they are joined as for any layout.
    """
    if layout.endswith(".sql"):
        if not Path(layout).is_file():
            raise InputError(f"no such layout file: '{layout}'")
        query = Path(layout).read_text(encoding="utf-8")
    else:
        query = assets.sql("datasets", layout)
    folder = path if path.is_dir() else path.parent
    found: dict[str, list[Path]] = {}
    for depth in ("*", "*/*", "*/*/*"):
        for file in sorted(folder.glob(depth)):
            if tables.is_table(file) and _is_named(tables.stem(file), query):
                found.setdefault(tables.stem(file).lower(), []).append(file)
    for file in given:
        if _is_named(tables.stem(file), query):
            found.setdefault(tables.stem(file).lower(), []).append(file)
    for name, files in found.items():
        tables.load(con, name, list(dict.fromkeys(files)))
    for name, columns in _OPTIONAL.findall(query):
        if name.lower() not in found:
            listed = ", ".join(f"{quoted(c.strip())} varchar" for c in columns.split(","))
            con.execute(f"create table {quoted(name)} ({listed})")
    if _is_named(_FILES, query):
        paths = [f.relative_to(root).as_posix() for f in filenames.walk_images(root)]
        con.register(_FILES, pa.table({"path": pa.array(paths, pa.string())}))
    tables.run_select(con, "_images", query, layout)
    for name in found:
        con.execute(f"drop table {quoted(name)}")
    return [file for file in given if not _is_named(tables.stem(file), query)]


def _is_named(name: str, query: str) -> bool:
    """Whether an SQL text names a table."""
    return bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", query, re.IGNORECASE))


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
