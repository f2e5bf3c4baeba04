"""Plates into the catalog: all rows of some plates in one transaction."""

from collections.abc import Mapping, Sequence
from contextlib import closing

import pyarrow as pa

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.core.files import digest
from unidino.core.sql import keep_small, scratch
from unidino.lake.catalog import Landing
from unidino.lake.lake import Lake
from unidino.lake.records import file_row, keep_plate, registered, remove_unregistered
from unidino.lake.runs import Run
from unidino.lake.states import FileState
from unidino.plates.inputs import split_by_plate
from unidino.plates.manifest import Manifest, Row

_TABLES = ("channel", "well", "field", "image")
_ILLUMINATED = pa.schema(
    [("plate", pa.string()), ("channel_index", pa.int32()), ("uri", pa.string())]
)


def register(
    lake: Lake,
    run: Run,
    manifest: pa.Table,
    measured: pa.Table | None,
    landed: Sequence[Row],
    files: Mapping[str, Sequence[FileState]] | None = None,
    illuminated: Sequence[Row] = (),
    functions: Sequence[FileState] = (),
) -> None:
    """Register plates in place of those of the same names.

    The embeddings of a plate that had other content are forgotten, and their files removed.
    manifest: rows of their images. measured: in the schema of `schemas/measured.arrow.json`; None
    for images whose pixels are not here. landed: plate, uri, fingerprint and content_hash of each
    plate. files: states of the files of each plate. illuminated: plate, channel_index and uri of
    each illumination function, whose files have the states `functions`.
    """
    rows = [row | {"run_id": run.run_id} for row in landed]
    plates = [row["plate"] for row in landed]
    with lake.landing() as landing, closing(scratch(assets.texts("register"))) as con:
        keep_small(con)
        run.record(landing)
        con.register("manifest", manifest)
        con.register("landed", pa.Table.from_pylist(rows))
        con.register("illuminated", pa.Table.from_pylist(list(illuminated), schema=_ILLUMINATED))
        if measured is None:
            con.execute(f"create temp view measured as {assets.sql('register', 'absent')}")
        else:
            con.register("measured", measured)
        con.execute(f"create temp view landed_image as {assets.sql('register', 'landed_image')}")
        outdated, old_files = _outdated(landing, rows)
        landing.forget("part", "uri", [uri for *_, uri in outdated])
        landing.forget("file", "uri", [*(uri for *_, uri in outdated), *old_files])
        for table in _TABLES:
            landing.forget(table, "plate", plates)
            landing.put(table, con.sql(assets.sql("register", table)).to_arrow_table())
        of_plate = con.sql(assets.sql("register", "plate")).to_arrow_table()
        landing.put("plate", of_plate, instead_of="plate_id")
        for plate in plates:
            told = [file_row("illumination", state, plate=plate) for state in functions]
            landing.put("file", told, instead_of="uri")
            keep_plate(lake, landing, plate, (files or {}).get(plate))
        with landing.tables(["file"]) as catalog:
            kept = registered(catalog)
    for model, plate, uri in outdated:
        _remove(lake, model, plate, uri)
    remove_unregistered(lake, plates, kept)


def _outdated(
    landing: Landing, landed: Sequence[Row]
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Parts of plates that land with other content, and uris of what else they had registered.

    Of a part: model, plate, uri.
    """
    with landing.tables(["part", "plate", "file"]) as con:
        con.register("landed", pa.Table.from_pylist(list(landed)))
        try:
            parts = con.execute(assets.sql("register", "outdated_part")).fetchall()
            files = con.execute(
                "select uri from file where kind in ('illumination', 'record')"
                " and plate in (select plate from landed)"
            ).fetchall()
        finally:
            con.unregister("landed")
    return parts, [uri for (uri,) in files]


def _remove(lake: Lake, model: str, plate: str, uri: str) -> None:
    """Remove the vectors of replaced images, unless new ones are being written in their place."""
    with lake.lock(f"embed-{model}-{plate}", wait=False) as held:
        if held and lake.look_up("from part where uri = $uri", {"uri": uri}).is_empty():
            lake.remove(uri)


def register_absent(
    lake: Lake, run: Run, manifest: Manifest, *, overwrite: bool
) -> tuple[dict[str, pa.Table], list[str]]:
    """Register plates without their pixels, all in one transaction.

    Returns the images of each plate that was registered, and the names of the plates that were
    there with the same metadata.
    Raises InputError if a plate is there with its pixels, or with other metadata and is not to be
    overwritten.
    """
    known = {
        name: (uri, content_hash)
        for name, uri, content_hash in lake.look_up(
            "select plate_id, uri, content_hash from plate"
        ).iter_rows()
    }
    new: dict[str, pa.Table] = {}
    rows, skipped = [], []
    for name, images in split_by_plate(manifest.images).items():
        content_hash = digest("absent", manifest.digests[name])
        uri, old_hash = known.get(name, (None, None))
        if uri is not None:
            raise InputError(
                f"plate '{name}' has its pixels in the lake; --metadata-only keeps none"
            )
        if old_hash == content_hash:
            skipped.append(name)
            continue
        if old_hash is not None and not overwrite:
            raise InputError(
                f"plate '{name}' is in the lake with other metadata; pass --overwrite to replace it"
            )
        new[name] = images
        rows.append(
            {"plate": name, "uri": None, "fingerprint": content_hash, "content_hash": content_hash}
        )
    if new:
        register(lake, run, pa.concat_tables(new.values()), None, rows)
    return new, skipped
