"""Model and plates to tables of vectors, one a plate, by any number of processes."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from glob import escape
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core import assets
from unidino.core.choices import Engine, Keep, Precision
from unidino.core.errors import InputError, ModelError, choose
from unidino.core.files import digest
from unidino.core.log import log
from unidino.core.progress import progress_bar
from unidino.core.results import Result
from unidino.core.sql import first_row
from unidino.embeddings.embedder import Advance, Embedder, Row
from unidino.embeddings.how import Cut, How
from unidino.embeddings.tables import DICTIONARY_COLUMNS, crop_table, embedding_table
from unidino.lake.catalog import Landing
from unidino.lake.lake import Lake
from unidino.lake.parts import Part, Parts, carried, current
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.packaged import bring_packaged
from unidino.models.registry import load_config


@dataclass(frozen=True)
class Embedded(Result):
    """What an embedding run did: plates embedded, plates skipped, images and crops embedded.

    skipped: plates whose tables were complete already. left_out: images without vector, by reason.
    """

    plates: tuple[str, ...]
    skipped: tuple[str, ...]
    num_images: int
    num_crops: int
    left_out: dict[str, int]


def embed(
    lake: Lake,
    model: str,
    *,
    plates: Sequence[str] = (),
    where: str | None = None,
    shard: tuple[int, int] = (1, 1),
    cover: bool = False,
    short_side_px: int | None = None,
    keep: Keep = "mean",
    precision: Precision = "fp32",
    engine: Engine = "torch",
    batch_size: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
) -> Embedded:
    """What was embedded; each plate's table is written whole or not at all, and kept if complete.

    plates: names; where: SQL condition over the table plate; with neither, every plate.
    shard: part i of n of those plates, from 1. Any number of processes may run this at once: each
    plate is embedded by one of them, and by another if that one ends before its table is complete.
    cover, short_side_px: see `Cut`; keep, batch_size: see `How`; engine: see `forward_of`.
    Raises UnidinoError for an unknown model or plate, LakeError if an image cannot be read.

    >>> import unidino as ud
    >>> done = ud.embed(lake, "gaussian", where="batch = '1'", overwrite=True)
    >>> done.plates, done.num_images
    (('tiny_b1_p1',), 36)
    """
    run = Run.of("embed", locals())
    if not 1 <= shard[0] <= shard[1]:
        raise InputError(f"shard is {shard[0]}/{shard[1]}; it must be part i of n, from 1")
    plates = (plates,) if isinstance(plates, str) else plates
    how = How(Cut(cover, short_side_px), keep, precision, engine, batch_size, device)
    bring_packaged(lake, model)
    config = load_config(lake, model)
    if not config.traits.embeds:
        raise ModelError(f"model '{model}' was imported: it has profiles but cannot embed images")
    if config.traits.source == "counts":
        from unidino.embeddings.counted_wells import embed_counts

        names = [p for p, _ in chosen_plates(lake, plates, where)[shard[0] - 1 :: shard[1]]]
        counted, current_ones, num = embed_counts(lake, run, model, names, overwrite=overwrite)
        return Embedded(tuple(counted), tuple(current_ones), num, num, {})
    weights = lake.look_up("select weights_hash from model where model = $m", {"m": model}).item()

    def task_of(plate: str, content_hash: str) -> _Task:
        inputs = digest(weights, config.model_dump(), content_hash, asdict(how.cut), how.keep)
        part = Part(f"embeddings/{model}/{plate}.parquet", "embedding", model, inputs, plate=plate)
        return _Task(plate, content_hash, part, _landed_by(lake, part))

    tasks, skipped = [], []
    for plate, content_hash in chosen_plates(lake, plates, where)[shard[0] - 1 :: shard[1]]:
        task = task_of(plate, content_hash)
        if task.landed_by and not overwrite:
            skipped.append(plate)
        else:
            tasks.append(task)
    work = _Work(lake, model, embedder_of(lake, model, config, how), how.cut, run, task_of)
    if tasks:
        skipped += work.carry_out(tasks)
    return Embedded(
        tuple(work.plates), tuple(skipped), work.num_images, work.num_crops, dict(work.left_out)
    )


def embedder_of(lake: Lake, model: str, config: ModelConfig, how: How) -> Embedder:
    """What turns images into vectors for a model of this kind."""
    # Each family imports its own large packages.
    if config.traits.source == "network":
        from unidino.embeddings.encode import NetworkEmbedder

        return NetworkEmbedder(lake, model, config, how)
    if config.traits.source == "cells":
        from unidino.embeddings.segmented import CellEmbedder

        return CellEmbedder(lake, config)
    from unidino.embeddings.gaussian import GaussianEmbedder

    return GaussianEmbedder(config)


class _Task(NamedTuple):
    """A plate to embed, with the hash of its images.

    landed_by: the run that wrote the table that is to be replaced, if any.
    """

    plate: str
    content_hash: str
    part: Part
    landed_by: str | None


class _ReplacedError(Exception):
    """The plate got other images while it was embedded."""


def _landed_by(lake: Lake, part: Part) -> str | None:
    """The run that wrote this part of these inputs; None if the part is missing."""
    assert part.inputs_hash is not None
    row = current(lake, part.uri, part.inputs_hash)
    return None if row is None else str(row["run_id"])


def chosen_plates(lake: Lake, plates: Sequence[str], where: str | None) -> list[tuple[str, str]]:
    """Name and content hash of the plates to embed."""
    known = lake.look_up("select plate_id from plate order by 1")["plate_id"].to_list()
    for plate in plates:
        choose("plate", plate, known)
    query = f"select plate_id, content_hash from plate where {where or 'true'} order by plate_id"
    found = lake.query(query, what=f'--where "{where}"')
    if not set(found["plate_id"]) <= set(known) or found["plate_id"].n_unique() < len(found):
        raise InputError(f'--where "{where}" is no condition that a plate fits or not')
    rows = [row for row in found.iter_rows() if not plates or row[0] in plates]
    if not rows:
        raise InputError(
            f'--where "{where}" selects no plate' if where else "the lake has no plate"
        )
    return rows


class _Work:
    """One process that embeds plates, and what it has done."""

    def __init__(
        self,
        lake: Lake,
        model: str,
        embedder: Embedder,
        cut: Cut,
        run: Run,
        task_of: Callable[[str, str], _Task],
    ) -> None:
        self._lake, self._model, self._embedder = lake, model, embedder
        self._cut, self._run, self._task_of = cut, run, task_of
        self.plates: list[str] = []
        self.num_images = self.num_crops = 0
        self.left_out: Counter[str] = Counter()

    def carry_out(self, tasks: list[_Task]) -> list[str]:
        """Embed the plates that no other process has locked, then wait for the others.

        Returns the plates that other processes have embedded meanwhile.
        """
        elsewhere = []
        waiting, passed = deque(tasks), 0
        sizes = self._sizes([task.plate for task in tasks])
        label, unit = f"embed {self._model}", self._embedder.unit
        with progress_bar(label, sum(sizes.values()), unit) as advance:
            while waiting:
                task = waiting.popleft()
                name = f"embed-{self._model}-{task.plate}"
                with self._lake.lock(name, wait=passed > len(waiting)) as held:
                    if not held:
                        waiting.append(task)
                        passed += 1
                        continue
                    passed = 0
                    if _landed_by(self._lake, task.part) not in (None, task.landed_by):
                        elsewhere.append(task.plate)
                        advance(sizes[task.plate])
                    else:
                        try:
                            self._embed_plate(task, advance)
                        except _ReplacedError:
                            waiting += self._again(task)
        return elsewhere

    def _again(self, task: _Task) -> list[_Task]:
        """The task for the images that replaced those of a task; none if the plate is gone."""
        for uri in (task.part.uri, self._crops_uri(task.plate)):
            self._lake.remove(uri)
        found = self._lake.look_up(
            "select content_hash from plate where plate_id = $plate", {"plate": task.plate}
        )["content_hash"]
        log.warning(
            f"plate {task.plate} was {'replaced' if len(found) else 'removed'} while it was"
            " embedded; its vectors are dropped" + (", and it is embedded again" * len(found))
        )
        return [self._task_of(task.plate, content_hash) for content_hash in found]

    def _crops_uri(self, plate: str) -> str:
        return f"crops/{self._model}/{plate}.parquet"

    def _sizes(self, plates: list[str]) -> dict[str, int]:
        """Units of progress of each plate."""
        sizes = dict.fromkeys(plates, 0)
        query = assets.sql("queries", "image_size")
        for row in self._lake.look_up(query, {"plates": plates}, plates=plates).to_dicts():
            sizes[row["plate"]] += self._embedder.num_units(row)
        return sizes

    def _embed_plate(self, task: _Task, advance: Advance) -> None:
        started = time.monotonic()
        images, dropped = _with_pixels(_images(self._lake, task.plate))
        encoded = self._embedder.encode(images, advance) if images else None
        if encoded:
            dropped.update(encoded.dropped)
        self.left_out.update(dropped)
        if encoded is None or not encoded.rows:
            counted = ", ".join(f"{n} {reason}" for reason, n in dropped.items())
            log.warning(f"plate {task.plate} has no image to embed ({counted})")
            return
        seconds = time.monotonic() - started
        num_rows, num_crops = len(encoded.rows), int(encoded.num_crops.sum())
        log.info(f"{task.plate}: {num_rows} vectors of {num_crops} crops in {seconds:.1f} s")
        details = dict(self._embedder.about) | asdict(self._cut)
        parts = Parts(self._lake, self._run)

        def is_same(landing: Landing) -> None:
            query = "select content_hash from plate where plate_id = $plate"
            with landing.tables(["plate"]) as con:
                found = first_row(con, query, {"plate": task.plate})
            if found != (task.content_hash,):
                raise _ReplacedError

        def write(part: Part, table: pa.Table) -> None:
            self._remove_left_overs(part.uri)
            with parts.writing(part, len(table), dropped=dropped, details=details) as path:
                told = carried(part, dropped=dropped, details=details)
                pq.write_table(
                    table.replace_schema_metadata(told),
                    path,
                    compression="none",
                    use_dictionary=list(DICTIONARY_COLUMNS),
                )

        write(task.part, embedding_table(self._model, encoded))
        crops_uri = self._crops_uri(task.plate)
        if encoded.crops is not None:
            crop_part = Part(
                crops_uri,
                "crop_embedding",
                self._model,
                task.part.inputs_hash,
                plate=task.plate,
            )
            write(crop_part, crop_table(self._model, encoded))
            parts.land(also=is_same)
        else:
            # Kept crops of the replaced table do not belong to the new one.
            parts.land(gone=[crops_uri], also=is_same)
            self._lake.remove(crops_uri)
        self.plates.append(task.plate)
        self.num_images += num_rows
        self.num_crops += num_crops

    def _remove_left_overs(self, uri: str) -> None:
        """Remove temporary files of killed processes; the caller has the plate's lock."""
        target = self._lake.place_of(uri)
        for left_over in target.parent.glob(f".{escape(target.name)}.*.tmp"):
            left_over.unlink(missing_ok=True)


def _images(lake: Lake, plate: str) -> list[Row]:
    """Images of a plate in the order of its table, each with the uri of its field."""
    query = assets.sql("queries", "images_of_plate")
    return lake.look_up(query, {"plate": plate}, plates=[plate]).to_dicts()


def _with_pixels(images: list[Row]) -> tuple[list[Row], Counter[str]]:
    """Images with something to embed, and how many others there are by reason."""
    rows = [row for row in images if row["is_usable"]]
    return rows, Counter(row["qc"] for row in images if not row["is_usable"])
