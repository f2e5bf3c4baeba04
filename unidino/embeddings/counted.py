"""Cells of fields and wells, counted by the nuclei in their images."""

import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unidino.core import assets
from unidino.core.errors import InputError, choose
from unidino.core.log import log
from unidino.core.processes import num_useful, processes
from unidino.core.progress import progress_bar
from unidino.core.results import Result
from unidino.core.sql import table_of
from unidino.lake import pixels
from unidino.lake.edited import keep_again
from unidino.lake.lake import Lake
from unidino.lake.records import remove_unregistered
from unidino.lake.runs import Run

_FEW = 64  # images that one process counts sooner than a second one starts


@dataclass(frozen=True)
class CellsCounted(Result):
    """What a count of cells did: plates counted, plates skipped, images, cells and seconds.

    skipped: plates that were counted before.
    """

    plates: tuple[str, ...]
    skipped: tuple[str, ...]
    num_images: int
    num_cells: int
    seconds: float


def count_cells(
    lake: Lake,
    channel: str | None = None,
    *,
    plates: Sequence[str] = (),
    jobs: int | None = None,
    overwrite: bool = False,
) -> CellsCounted:
    """The plates whose cells were counted, by the nuclei in one channel.

    The counts become `field.num_cells`, and their sum over the fields `well.num_cells`. Fields
    without a usable image keep none, which is said.
    channel: that shows nuclei; default: by its name. plates: names; default: all with images.
    jobs: processes; default, and most, one a core. overwrite: count plates again that were counted,
    and replace counts that a table stated.
    Raises ModelError if it is not clear which channel shows nuclei, InputError for an unknown one.

    >>> import unidino as ud
    >>> ud.count_cells(lake, "DNA", plates=["tiny_b1_p1"]).num_images
    12
    """
    run = Run.of("count-cells", locals())
    started = time.monotonic()
    plates = (plates,) if isinstance(plates, str) else plates
    known = lake.look_up("select distinct plate from image order by all")["plate"].to_list()
    if not known:
        raise InputError("the lake has no images to count cells in; run `unidino ingest PATH`")
    for plate in plates:
        choose("plate with images", plate, known)
    done, skipped, num_images, num_cells = [], [], 0, 0
    rows = lake.look_up(assets.sql("queries", "countable_image"), {"channel": channel})
    chosen = {plate: channel or _nuclear(lake, plate) for plate in plates or known}
    tasks = {}
    for plate, name in chosen.items():
        of_plate = lake.look_up(
            "select channel from channel where plate = $plate", {"plate": plate}, plates=[plate]
        )["channel"].to_list()
        choose(f"channel of plate {plate}", name, of_plate)
        images = [r for r in rows.to_dicts() if r["plate"] == plate and r["channel"] == name]
        if not overwrite and images and all(r["num_cells"] is not None for r in images):
            skipped.append(plate)
        else:
            tasks[plate] = images
    total = sum(map(len, tasks.values()))
    with progress_bar("count cells", total, "images") as advance, _pool(total, jobs) as pool:
        for plate, images in tasks.items():
            usable = [r for r in images if r["has_pixels"]]
            counts = []
            places = [lake.resolve(row["uri"]) for row in usable]
            indices = [row["channel_index"] for row in usable]
            numbers = (pool.map if pool else map)(_count, places, indices)
            for row, number in zip(usable, numbers, strict=True):
                counts.append({k: row[k] for k in ("plate", "well", "field")} | {"num": number})
                advance(1)
            if lost := len(images) - len(usable):
                log.warning(
                    f"plate {plate}: {lost} fields have no usable image of {chosen[plate]};"
                    " num_cells of their wells is of the other fields"
                )
            if not counts:
                continue
            _land(lake, run, plate, counts, overwrite=overwrite)
            done.append(plate)
            num_images += len(counts)
            num_cells += sum(row["num"] for row in counts)
    remove_unregistered(lake, done)
    seconds = round(time.monotonic() - started, 1)
    return CellsCounted(tuple(done), tuple(skipped), num_images, num_cells, seconds)


def _nuclear(lake: Lake, plate: str) -> str:
    from unidino.models.cellprofiler import nuclear_channel

    names = lake.look_up(
        "select channel from channel where plate = $plate order by channel_index", {"plate": plate}
    )["channel"].to_list()
    return nuclear_channel(names, "by --channel NAME")


def _pool(num_images: int, jobs: int | None) -> AbstractContextManager[Executor | None]:
    """Processes that count; none for a few images, which are counted sooner than these start."""
    num = min(num_useful(jobs), num_images // _FEW)
    if num < 2:
        return nullcontext()
    return processes(num)


def _count(field: Path, index: int) -> int:
    from unidino.models.counting import count_nuclei

    return count_nuclei(pixels.read_plane(field, index))


def _land(
    lake: Lake, run: Run, plate: str, counts: Sequence[dict[str, Any]], *, overwrite: bool
) -> None:
    """Set the counts of the fields and wells of a plate; counts that differ are kept and said."""
    with lake.landing() as landing:
        run.record(landing)
        with landing.tables(["field", "well"], [plate]) as con:
            con.register("counted", table_of(counts))
            try:
                of = {"plate": plate}
                fields = con.sql(assets.sql("queries", "counted_field"), params=of)
                fields = fields.to_arrow_table()
                told = of | {"overwrite": overwrite}
                wells = con.sql(assets.sql("queries", "counted_well"), params=told)
                wells = wells.to_arrow_table()
            finally:
                con.unregister("counted")
        differ = sum(wells["differs"].to_pylist())
        if differ and not overwrite:
            log.warning(
                f"plate {plate}: {differ} wells keep the num_cells that a table stated; --overwrite"
                " replaces it"
            )
        for table, rows in (("field", fields), ("well", wells.drop_columns(["differs"]))):
            landing.forget(table, "plate", [plate])
            landing.put(table, rows)
        keep_again(lake, landing, plate)
