"""Images of a plate with the same content under several names."""

from collections.abc import Sequence

import pyarrow as pa

from unidino.core.log import log
from unidino.plates.manifest import Row

_WITH_CONTENT = ("ok", "saturated")  # blank images are often equal


def say_twins(
    plate: str, rows: Sequence[Row], hashes: Sequence[str | None], measured: pa.Table
) -> None:
    """Warn of images of a plate that have equal files, or equal planes, under different names.

    rows, hashes: of the images, in one order. measured: in the schema of
    `schemas/measured.arrow.json`.
    """
    columns = (measured[name].to_pylist() for name in ("well", "field", "channel_index", "qc"))
    shown = {
        (well, field, channel)
        for well, field, channel, qc in zip(*columns, strict=True)
        if qc in _WITH_CONTENT
    }
    alike: dict[tuple[object, ...], dict[tuple[str, ...], Row]] = {}
    for row, content in zip(rows, hashes, strict=True):
        if content and (row["well"], row["field"], row["channel_index"]) in shown:
            images = alike.setdefault((content, *row["pages"]), {})
            images.setdefault(tuple(row["paths"]), row)
    twins = [list(images.values()) for images in alike.values() if len(images) > 1]
    if twins:
        first, second = (
            f"well {row['well']} field {row['field']} channel {row['channel']}"
            f" ('{row['paths'][0]}')"
            for row in twins[0][:2]
        )
        log.warning(
            f"plate {plate}: {sum(map(len, twins))} images have the content of another, so they"
            f" count more than once, such as {first} and {second}"
        )
