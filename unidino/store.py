"""Pixels in and out of OME-Zarr plates.

A plate is an OME-Zarr 0.5 HCS group; a field is an image of axes c, y, x whose chunks are whole
planes, Blosc lz4 with bit shuffle: embedding reads planes whole, training cuts crops from a plane
read once, and this codec decodes fastest. Chunks are encoded and decoded by numcodecs directly,
which is several times faster than through an array library and byte for byte the same format.

Shapes: C channels, H height, W width.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import blosc
from numpy.typing import NDArray
from ome_zarr_models.v05.hcs import HCSAttrs

from unidino.errors import LakeError

Plane = NDArray[Any]  # of uint8 or uint16, (H, W)

_NGFF_VERSION = "0.5"
_CNAME, _CLEVEL = "lz4", 5
_COLORS = ("0000FF", "00FF00", "FF0000", "FFFF00", "FF00FF", "00FFFF", "FFFFFF")


@dataclass(frozen=True)
class PlaneStatistics:
    """Figures of one plane, intensities in counts.

    saturation: share of pixels at the maximum of the type.
    focus: variance of the Laplacian over the variance of the plane, unitless.
    """

    p0_1: float
    p99_9: float
    mean: float
    saturation: float
    focus: float

    @property
    def qc(self) -> str:
        """`blank` if both percentiles are equal, `saturated` if over 1 % are at the maximum."""
        if self.p0_1 == self.p99_9:
            return "blank"
        return "saturated" if self.saturation > 0.01 else "ok"


def plane_statistics(plane: Plane) -> PlaneStatistics:
    """Percentiles (linear between ranks), mean, saturation and focus of a plane (H, W)."""
    histogram = np.bincount(plane.ravel(), minlength=np.iinfo(plane.dtype).max + 1)
    values = plane.astype(np.float32)
    variance = float(values.var())
    laplacian = (
        values[:-2, 1:-1]
        + values[2:, 1:-1]
        + values[1:-1, :-2]
        + values[1:-1, 2:]
        - 4 * values[1:-1, 1:-1]
    )
    low, high = _percentiles(histogram, (0.001, 0.999))
    return PlaneStatistics(
        p0_1=low,
        p99_9=high,
        mean=float(histogram @ np.arange(histogram.size) / plane.size),
        saturation=float(histogram[-1] / plane.size),
        focus=float(laplacian.var()) / variance if variance > 0 and laplacian.size else 0.0,
    )


def _percentiles(histogram: NDArray[np.int64], shares: tuple[float, ...]) -> list[float]:
    """Percentiles of integers given their histogram, equal to numpy's linear interpolation."""
    cumulative = np.cumsum(histogram)
    results = []
    for share in shares:
        rank = share * (cumulative[-1] - 1)
        below = int(np.floor(rank))
        low, high = np.searchsorted(
            cumulative, [below, min(below + 1, cumulative[-1] - 1)], "right"
        )
        results.append(float(low + (high - low) * (rank - below)))
    return results


def well_path(well: str) -> str:
    """Path of a well's group inside a plate: `A/01` for A01."""
    return f"{well.rstrip('0123456789')}/{well.lstrip('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}"


def field_path(well: str, field: int) -> str:
    """Path of a field's group inside a plate: `A/01/2` for field 2 of A01."""
    return f"{well_path(well)}/{field}"


def write_plate(path: Path, name: str, fields: dict[str, list[int]], row_column: Any) -> None:
    """Write the groups of a plate and its wells; fields are written by `write_field`.

    fields: well -> its fields. row_column: well -> (row, column), from 1.
    """
    rows = sorted({row_column[well][0] for well in fields})
    columns = sorted({row_column[well][1] for well in fields})
    row_names = {row_column[w][0]: well_path(w).split("/")[0] for w in fields}
    column_names = {row_column[w][1]: well_path(w).split("/")[1] for w in fields}
    plate = {
        "version": _NGFF_VERSION,
        "plate": {
            "version": _NGFF_VERSION,
            "name": name,
            "field_count": max(len(numbers) for numbers in fields.values()),
            "rows": [{"name": row_names[row]} for row in rows],
            "columns": [{"name": column_names[column]} for column in columns],
            "wells": [
                {
                    "path": well_path(well),
                    "rowIndex": rows.index(row_column[well][0]),
                    "columnIndex": columns.index(row_column[well][1]),
                }
                for well in sorted(fields, key=lambda w: row_column[w])
            ],
        },
    }
    HCSAttrs.model_validate(plate)
    _write_group(path, plate)
    for row in row_names.values():
        _write_group(path / row, None)
    for well, numbers in fields.items():
        images = [{"path": str(number)} for number in sorted(numbers)]
        _write_group(
            path / well_path(well),
            {"version": _NGFF_VERSION, "well": {"version": _NGFF_VERSION, "images": images}},
        )


def write_field(
    path: Path,
    planes: list[Plane],
    channels: list[str],
    statistics: list[PlaneStatistics],
    pixel_size_um: float | None,
) -> None:
    """Write one field's group: planes (H, W) of one type and size, in channel order."""
    height, width = planes[0].shape
    maximum = int(np.iinfo(planes[0].dtype).max)
    unit = {"unit": "micrometer"} if pixel_size_um else {}
    scale = pixel_size_um or 1.0
    image = {
        "version": _NGFF_VERSION,
        "multiscales": [
            {
                "name": path.name,
                "axes": [
                    {"name": "c", "type": "channel"},
                    {"name": "y", "type": "space"} | unit,
                    {"name": "x", "type": "space"} | unit,
                ],
                "datasets": [
                    {
                        "path": "0",
                        "coordinateTransformations": [
                            {"type": "scale", "scale": [1.0, scale, scale]}
                        ],
                    }
                ],
            }
        ],
        "omero": {
            "channels": [
                {
                    "label": channel,
                    "color": _COLORS[index % len(_COLORS)],
                    "active": True,
                    "window": {"min": 0, "max": maximum, "start": s.p0_1, "end": s.p99_9},
                }
                for index, (channel, s) in enumerate(zip(channels, statistics, strict=True))
            ]
        },
    }
    _write_group(path, image)
    array = path / "0"
    array.mkdir()
    metadata = _array_metadata((len(planes), height, width), planes[0].dtype.name)
    (array / "zarr.json").write_bytes(metadata)
    for index, plane in enumerate(planes):
        chunk = array / "c" / str(index) / "0"
        chunk.mkdir(parents=True)
        data = np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<"))
        encoded = blosc.compress(data, _CNAME.encode(), _CLEVEL, blosc.BITSHUFFLE, 0)
        (chunk / "0").write_bytes(encoded)


def read_plane(field: Path, channel_index: int) -> Plane:
    """One plane (H, W) of a field's group, at full resolution.

    Raises LakeError if the group or the chunk is missing or damaged.
    """
    try:
        array = _open_array(str(field))
        if array.direct:
            encoded = (field / array.path / "c" / str(channel_index) / "0" / "0").read_bytes()
            flat = np.frombuffer(blosc.decompress(encoded), dtype=array.dtype)
            return flat.reshape(array.shape[1:])
        opened = zarr.open_array(str(field / array.path), mode="r")
        index = (0,) * (opened.ndim - 3) + (channel_index,)
        return np.asarray(opened[index])
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise LakeError(f"cannot read channel {channel_index} of {field}: {error}") from error


@dataclass(frozen=True)
class _Array:
    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    direct: bool


@lru_cache(maxsize=65536)
def _open_array(field: str) -> _Array:
    """Where the full resolution of a field lies, and whether its chunks are our own planes."""
    group = json.loads((Path(field) / "zarr.json").read_bytes())
    path = group["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"]
    metadata = json.loads((Path(field) / path / "zarr.json").read_bytes())
    shape = tuple(metadata["shape"])
    codecs = [codec["name"] for codec in metadata["codecs"]]
    chunk_shape = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    direct = codecs == ["bytes", "blosc"] and len(shape) == 3 and chunk_shape == (1, *shape[1:])
    return _Array(path, shape, np.dtype(metadata["data_type"]).newbyteorder("<"), direct)


@lru_cache(maxsize=256)
def _array_metadata(shape: tuple[int, ...], dtype: str) -> bytes:
    """The zarr.json of an array whose chunks are planes, as the zarr library writes it."""
    store = zarr.storage.MemoryStore()
    zarr.create_array(
        store,
        shape=shape,
        chunks=(1, *shape[1:]),
        dtype=dtype,
        compressors=zarr.codecs.BloscCodec(cname=_CNAME, clevel=_CLEVEL, shuffle="bitshuffle"),
        dimension_names=("c", "y", "x"),
        fill_value=0,
    )
    stored: bytes = store._store_dict["zarr.json"].to_bytes()
    return stored


def _write_group(path: Path, ome: dict[str, Any] | None) -> None:
    path.mkdir(parents=True, exist_ok=True)
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": ome} if ome else {},
    }
    (path / "zarr.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
