"""Small OME-Zarr plates as other programs write them, whose every part a test can choose."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from planes import plane_of, stored_plane

from unidino.lake.lake import Lake
from unidino.plates.convert import Form
from unidino.plates.ingest import Ingested, ingest

SCALE = (1.0, 0.325, 0.325)
WELLS = {"A/1": ["0"], "B/12": ["0"]}
in_both_forms = pytest.mark.parametrize("in_place", [False, True], ids=["copied", "in place"])


def value_of(well: str, image: str, channel: int) -> int:
    """A value that differs for each plane: the planes of a plate are `plane_of` of it."""
    return sum(map(ord, well)) * 7 + sum(map(ord, image)) * 3 + 100 * channel


def ingest_zarr(lake: Lake, path: Path, *, in_place: bool = False, **options: Any) -> Ingested:
    """Ingest as a user would, with a copy of the pixels or without."""
    return ingest(lake, path, "ome-zarr", form=Form(in_place=in_place), **options)


def fields_of(lake: Lake) -> list[tuple[str, str, int]]:
    """Plate, well and number of every field."""
    return lake.query("select plate, well, field from field order by all").rows()


def assert_planes(lake: Lake, well: str, path: str, image: str, field: int = 0) -> None:
    """Assert that the lake holds the planes of an image that `write_zarr_plate` wrote."""
    for channel in (0, 1):
        plane = stored_plane(
            lake, f"well = '{well}' and field = {field} and channel_index = {channel}"
        )
        assert plane.dtype == np.uint16
        assert plane.dtype.isnative
        np.testing.assert_array_equal(plane, plane_of(value_of(path, image, channel)))


def write_group(path: Path, metadata: Mapping[str, Any] | None, version: str = "0.4") -> None:
    """Write a group; version 0.5 is Zarr 3, others are Zarr 2."""
    path.mkdir(parents=True, exist_ok=True)
    if version == "0.5":
        attributes = {} if metadata is None else {"ome": {"version": version} | dict(metadata)}
        document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        (path / "zarr.json").write_text(json.dumps(document))
    else:
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        if metadata is not None:
            (path / ".zattrs").write_text(json.dumps(metadata))


def write_image(
    path: Path,
    pixels: np.ndarray,
    *,
    version: str = "0.4",
    axes: Sequence[Any] | None = None,
    scale: Sequence[float] = SCALE,
    outer_scale: Sequence[float] | None = None,
    unit: str | None = "micrometer",
    labels: Sequence[Any] | None = ("DNA", "Actin"),
    big_endian: bool = False,
    separator: str = "/",
) -> None:
    """Write an image with the axes c, y, x, in chunks of half its width."""
    length = {"unit": unit} if unit else {}
    space = [{"name": "y", "type": "space"} | length, {"name": "x", "type": "space"} | length]
    image: dict[str, Any] = {
        "axes": [{"name": "c", "type": "channel"}, *space] if axes is None else list(axes),
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [{"type": "scale", "scale": list(scale)}],
            }
        ],
    }
    if outer_scale is not None:
        image["coordinateTransformations"] = [{"type": "scale", "scale": list(outer_scale)}]
    omero = {"omero": {"channels": [{"label": v} for v in labels]}} if labels is not None else {}
    write_group(path, {"multiscales": [image]} | omero, version)
    form: dict[str, Any] = {"zarr_format": 2, "dtype": ">u2" if big_endian else "<u2"}
    form["chunk_key_encoding"] = {"name": "v2", "separator": separator}
    if version == "0.5":
        codec = zarr.codecs.BytesCodec(endian="big" if big_endian else "little")
        form = {"zarr_format": 3, "dtype": "uint16", "serializer": codec}
    array = zarr.create_array(
        str(path / "0"),
        shape=pixels.shape,
        chunks=(*(1 for _ in pixels.shape[:-2]), pixels.shape[-2], pixels.shape[-1] // 2),
        **form,
    )
    array[:] = pixels


def write_zarr_plate(
    path: Path,
    wells: Mapping[str, Sequence[str | Mapping[str, Any]]],
    *,
    version: str = "0.4",
    plate: Mapping[str, Any] | None = None,
    entries: Mapping[str, Mapping[str, Any]] | None = None,
    **image: Any,
) -> None:
    """Write a plate of two channels.

    wells: by path (`A/1`), the images that the well lists, each with its name or with its whole
    entry. plate: replaces parts of the plate's metadata. entries: adds to the entries of wells, by
    path. image: choices of `write_image`.
    """
    rows = list(dict.fromkeys(well.split("/")[0] for well in wells))
    columns = list(dict.fromkeys(well.split("/")[1] for well in wells))
    listed = []
    for well, images in wells.items():
        row, column = well.split("/")
        place = {"rowIndex": rows.index(row), "columnIndex": columns.index(column)}
        listed.append({"path": well} | place | dict((entries or {}).get(well, {})))
        named = [{"path": i} if isinstance(i, str) else dict(i) for i in images]
        write_group(path / well, {"well": {"images": named}}, version)
        for name in (entry["path"] for entry in named):
            planes = [plane_of(value_of(well, name, channel)) for channel in (0, 1)]
            write_image(path / well / name, np.stack(planes), version=version, **image)
    metadata: dict[str, Any] = {
        "rows": [{"name": name} for name in rows],
        "columns": [{"name": name} for name in columns],
        "wells": listed,
    }
    write_group(path, {"plate": metadata | dict(plate or {})}, version)
    for row in rows:
        write_group(path / row, None, version)
