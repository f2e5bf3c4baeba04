"""Planes as small grey PNG images, scaled to a window of intensities.

Shapes: H height, W width.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import imagecodecs
import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from unidino.core import assets
from unidino.core.errors import InputError
from unidino.explorer.cache import Cache, version
from unidino.lake import pixels
from unidino.lake.lake import Lake

SIZES = (96, 160, 256, 384, 512, 1024, 2160)
_MOST_PLANES = 400
Layer = tuple[str, str, float | None, float | None]


class Images:
    """Images of a lake; the planes shown last are cached in their small size."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._planes = Cache(_MOST_PLANES)
        self._wells = Cache(2000)

    def of_well(self, plate: str, well: str) -> pl.DataFrame:
        """The images of a well, as rows of `sql/queries/explored_plane.sql`."""
        return self._wells.get(
            (plate, well, version(self._lake)),
            lambda: self._lake.look_up(
                assets.sql("queries", "explored_plane"),
                {"plate": plate, "well": well},
                plates=[plate],
            ),
        )

    def png(
        self,
        plate: str,
        well: str,
        field: int,
        channel: str,
        *,
        size: int,
        low: float | None = None,
        high: float | None = None,
    ) -> bytes:
        """One image as a PNG whose longer side has at most `size` pixels.

        low, high: counts shown as black and white; default the 0.1st and 99.9th percentiles.
        Raises InputError if there is no such image, LakeError if its file is missing or damaged.
        """
        plane, window = self._plane(plate, well, field, channel, size)
        low = window[0] if low is None else low
        high = window[1] if high is None else high
        return bytes(imagecodecs.png_encode(windowed(plane, low, high), level=3))

    def composite(
        self, plate: str, well: str, field: int, layers: Sequence[Layer], *, size: int
    ) -> bytes:
        """Channels on top of one another as a PNG; sizes and errors as of `png`.

        layers: a channel, its colour, and the counts shown as black and as the full colour; None
        for its percentiles.
        """
        from unidino.explorer.composite import blended

        if not layers:
            raise InputError("choose a colour for a channel at least")
        planes, windows = [], []
        for channel, _, low, high in layers:
            plane, (first, last) = self._plane(plate, well, field, channel, size)
            planes.append(plane)
            windows.append((first if low is None else low, last if high is None else high))
        picture = blended(planes, windows, [colour for _, colour, _, _ in layers])
        return bytes(imagecodecs.png_encode(picture, level=3))

    def _plane(
        self, plate: str, well: str, field: int, channel: str, size: int
    ) -> tuple[NDArray[np.float32], tuple[float, float]]:
        """A plane in its small size, and its percentiles in counts."""
        row = self._row(plate, well, field, channel)
        if row["uri"] is None or not row["has_pixels"]:
            raise InputError(f"{_name(plate, well, field, channel)} is {_problem(row)}")
        key = (row["uri"], row["channel_index"], size, row["content_hash"])
        path = self._lake.resolve(row["uri"])
        plane = self._planes.get(
            key, lambda: shrunk(pixels.read_plane(path, row["channel_index"]), size)
        )
        return plane, (float(row["p0_1"]), float(row["p99_9"]))

    def _row(self, plate: str, well: str, field: int, channel: str) -> Mapping[str, Any]:
        rows = self.of_well(plate, well).filter(
            (pl.col("field") == field) & (pl.col("channel") == channel)
        )
        if rows.is_empty():
            raise InputError(f"the lake has no image {_name(plate, well, field, channel)}")
        return rows.row(0, named=True)


def _name(plate: str, well: str, field: int, channel: str) -> str:
    return f"{plate} {well} field {field} {channel}"


def _problem(row: Mapping[str, Any]) -> str:
    if row["qc"] == "damaged":
        return f"damaged: {row['problem']}"
    return "registered without its pixels; ingest it without --metadata-only"


def shrunk(plane: NDArray[Any], size: int) -> NDArray[np.float32]:
    """The plane (H, W) averaged so that its longer side has at most `size` pixels."""
    height, width = plane.shape
    scale = size / max(height, width)
    image = plane.astype(np.float32)
    if scale >= 1:
        return image
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BOX))


def windowed(plane: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """The plane as grey levels: `low` and below become 0, `high` and above 255."""
    levels = (plane - low) * (255 / max(high - low, 1e-9)) + 0.5
    return np.asarray(np.clip(levels, 0, 255), dtype=np.uint8)


def nearest_size(pixels: int) -> int:
    """The smallest size served that has at least so many pixels."""
    return next((s for s in SIZES if s >= pixels), SIZES[-1])


def with_pixels(images: pl.DataFrame) -> pl.DataFrame:
    """The images whose pixels are in the lake."""
    return images.filter(pl.col("uri").is_not_null())


def field_at(images: pl.DataFrame, field: int | None) -> int | None:
    """The field to show: the wanted one if the well has it, else its first; None without fields."""
    fields = images["field"].unique().sort().to_list()
    return field if field in fields else (fields[0] if fields else None)
