"""The manifest of a folder or file in any layout.

A layout is one of

- `manifest`: a CSV or Parquet file with the manifest's columns;
- a file of `sql/datasets`, or any `.sql` file: one SELECT that gives the manifest's columns from
  the tables of a set;
- a reader: for the export of an instrument, or for file names of any pattern.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from unidino.core import assets
from unidino.core.account import listed
from unidino.core.errors import InputError, choose
from unidino.core.sql import Connection, keep_small, scratch
from unidino.core.stopping import temporary_folder
from unidino.plates import manifest, tables
from unidino.plates.content import say_content
from unidino.plates.identifiers import clean_identifiers, refuse_unknown_wells
from unidino.plates.joining import join
from unidino.plates.layouts import (
    by_sql,
    cellvoyager,
    filenames,
    harmony,
    imagexpress,
    looks,
    ometiff,
    omezarr,
    scanr,
)
from unidino.plates.manifest import Choice, Manifest
from unidino.plates.meaning import Reading, give_meaning
from unidino.plates.measurements import take_unknown_wavelengths, take_unplaced

# A reader takes the folder and --pattern, and returns a row of text columns per plane.
_READERS: dict[str, Callable[[Path, str | None], pa.Table]] = {
    "cellvoyager": lambda path, _: cellvoyager.scan(path),
    "filename": filenames.scan,
    "harmony": lambda path, _: harmony.scan(path),
    "imagexpress": lambda path, _: imagexpress.scan(path),
    "scanr": lambda path, _: scanr.scan(path),
}

# These readers also take the choice, and a list that gets a line for each thing they cannot read.
_READERS_OF_OME: dict[str, Callable[[Path, str | None, Choice, list[str]], pa.Table]] = {
    "ome-tiff": ometiff.scan,
    "ome-zarr": lambda path, _, choice, faults: omezarr.scan(path, choice, faults),
}


def layouts() -> list[str]:
    """Names of the built-in layouts."""
    return sorted(["manifest", *_READERS, *_READERS_OF_OME, *assets.names("datasets")])


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
    negcon: str = "DMSO",
    reading: Reading | None = None,
    allow_incomplete: bool = False,
    absent_channels: bool = False,
) -> Manifest:
    """The manifest of the images under a path.

    path: folder of the export or set, or the manifest file. layout: a name of `layouts()`, or an
    SQL file. dataset: name of the collection, default that of the folder. platemap, metadata:
    tables that are joined by plate and well, well, plate, or the columns that they share. pattern:
    regular expression with named groups, for the layouts `filename` and `ome-tiff`. images: folder
    that relative paths of images start from. negcon: compound that is the negative control where
    no table states a control_type. reading: unit of concentrations without one, and the account
    that says what each column became. choice: channels, slice and time point to take.
    allow_incomplete: leave out fields with wrong rows instead of raising.
    absent_channels: register images of channels that a field lacks as absent.
    Raises InputError that names the file, line and column of what is wrong.
    """
    if not path.exists():
        raise InputError(f"no such file or folder: '{path}'")
    root = images or _image_root(path)
    given = [*([platemap] if platemap else []), *metadata]
    choice = choice or Choice()
    reading = reading or Reading()
    faults: list[str] = []
    with _scratch_on_disk() as con:
        _create_images(con, layout, path, root, given, pattern, choice, reading, faults)
        found = manifest.build(
            con,
            source=path,
            dataset=dataset or _default_dataset(path),
            root=root,
            choice=choice,
            negcon=negcon,
            allow_incomplete=allow_incomplete,
            faults=faults,
            absent_channels=absent_channels,
            account=reading.account,
        )
        say_content(con, reading.account)
        return found


@contextmanager
def _scratch_on_disk() -> Iterator[Connection]:
    """A scratch connection that holds little in memory, with a temporary folder of its own.

    A confined connection may still read its temporary folder, so nothing else may be in there.
    """
    with temporary_folder() as folder:
        con = scratch()
        try:
            con.execute("set temp_directory = $folder", {"folder": str(folder)})
            keep_small(con)
            yield con
        finally:
            con.close()


def _create_images(
    con: Connection,
    layout: str,
    path: Path,
    root: Path,
    given: Sequence[Path],
    pattern: str | None,
    choice: Choice,
    reading: Reading,
    faults: list[str],
) -> None:
    """Create the table `_images` by a layout, with the given tables joined.

    faults: gets a line for each thing that the layout cannot read, if it can read others.
    Every table is loaded before an SQL layout runs, because the connection opens no file
    afterwards.
    """
    if layout not in _READERS_OF_OME and choice.acquisition is not None:
        raise InputError("--acquisition is for --layout ome-zarr and ome-tiff")
    if layout != "ome-zarr" and choice.image_name is not None:
        raise InputError("--image-name is for --layout ome-zarr")
    select = by_sql.Select.of(layout, path, root, given) if by_sql.is_sql(layout) else None
    joined = given if select is None else select.not_named
    loaded = {f"_joined_{number}": file for number, file in enumerate(joined)}
    for name, file in loaded.items():
        tables.load(con, name, [file])
    if select is not None:
        select.create(con, "_images")
    elif layout == "manifest":
        if path.is_dir():
            raise InputError(
                f"'{path}' is a folder; give a manifest file, or say how the folder is arranged by"
                f" --layout, one of {', '.join(layouts())}{looks.hint(path, layout)}"
            )
        tables.load(con, "_images", [path])
    else:
        choose("layout", layout, layouts())
        try:
            if layout in _READERS_OF_OME:
                rows = _READERS_OF_OME[layout](path, pattern, choice, faults)
            else:
                rows = _READERS[layout](path, pattern)
        except InputError as error:
            other = looks.hint(path, layout)
            if not other:
                raise
            raise InputError(f"{error}{other}", error.details) from error
        con.register("scanned", rows)
        con.execute("create table _images as from scanned")
        faults += take_unplaced(con, "_images")
        take_unknown_wavelengths(con, "_images")
    title = path.name if layout == "manifest" else None if select is None else layout
    give_meaning(con, "_images", reading, title)
    if select is not None:
        read = [file.name for files in select.files.values() for file in files]
        reading.account.say("tables", f"{layout} reads {listed(dict.fromkeys(read)) or 'none'}")
    clean_identifiers(con, "_images", title or "")
    for name, file in loaded.items():
        give_meaning(con, name, reading.of_wells(tables.columns(con, name)), file.name)
        clean_identifiers(con, name, file.name)
        refuse_unknown_wells(con, name, file)
        manifest.check_metadata(con, name, file)
        join(con, "_images", name, file.name, reading.account, states=layout == "manifest")


def _image_root(path: Path) -> Path:
    """Folder that relative paths of images start from: `images` beside the tables, if it exists."""
    folder = path if path.is_dir() else path.parent
    for name in ("images", "Images"):
        if (folder / name).is_dir():
            return folder / name
    return folder


def _default_dataset(path: Path) -> str:
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    return folder.parent.name if folder.name.lower() == "images" else folder.name
