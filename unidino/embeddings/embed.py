"""Model and plates to tables of vectors, one a plate, by any number of processes."""

import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import InputError, ModelError, choose
from unidino.core.files import digest, written_beside
from unidino.core.log import log, progress_bar
from unidino.embeddings.crops import stacked
from unidino.embeddings.encode import Cut, Encoded, Row, encode, num_crops_of
from unidino.embeddings.forward import Engine, Forward, Precision, device_of, forward_of
from unidino.embeddings.segmented import measure_fields
from unidino.lake.lake import Lake
from unidino.lake.parts import land_parts
from unidino.lake.runs import Run
from unidino.models.config import ModelConfig
from unidino.models.registry import load_config, load_network

# Images that have no pixels to embed, or nothing on them.
_NOT_EMBEDDED = ("blank", "damaged", "absent")
_WITHOUT_NETWORK = ("gaussian", "cellprofiler")
_TEXT = ("model", "plate", "well", "channel")


@dataclass(frozen=True)
class Embedded:
    """What an embedding run did: plates done, plates that were there, images and crops.

    left_out: images that were not embedded, by reason.
    """

    plates: tuple[str, ...]
    skipped: tuple[str, ...]
    num_images: int
    num_crops: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class How:
    """How plates are embedded: see the functions that take these.

    keep: `crop` keeps the vectors of single crops too, as the view `crop_embedding`.
    """

    cut: Cut = field(default_factory=Cut)
    keep: Literal["mean", "crop"] = "mean"
    precision: Precision = "fp32"
    engine: Engine = "torch"
    batch_size: int | None = None
    device: str = "cpu"


class _Task(NamedTuple):
    """A plate to embed. run: of the table that is there already, if any."""

    plate: str
    uri: str
    inputs: str
    run: str | None


def embed(
    lake: Lake,
    model: str,
    *,
    plates: Sequence[str] = (),
    where: str | None = None,
    shard: tuple[int, int] = (1, 1),
    how: How | None = None,
    overwrite: bool = False,
) -> Embedded:
    """What was embedded: each plate's table is whole or absent, and those that are there are kept.

    plates: names; where: SQL condition over the table plate; with neither, every plate.
    shard: part i of n of those plates, from 1. Any number of processes may run this at once: each
    plate is embedded by one of them, and taken over by another if that one ends before it lands.
    Raises UnidinoError for an unknown model or plate, LakeError if an image cannot be read.
    """
    how = how or How()
    config = load_config(lake, model)
    if config.kind == "imported":
        raise ModelError(f"model '{model}' was imported: it has its profiles and embeds nothing")
    choose("keep", how.keep, ["mean", "crop"])
    weights = lake.look_up("select weights_hash from model where model = $m", {"m": model}).item()
    chosen = _chosen_plates(lake, plates, where)[shard[0] - 1 :: shard[1]]
    tasks, skipped = [], []
    landed = _landed(lake, model)
    for plate, content_hash in chosen:
        inputs = digest(weights, config.model_dump(), content_hash, asdict(how.cut), how.keep)
        uri = f"embeddings/{model}/{plate}.parquet"
        there, run = landed.get(uri, (None, None))
        if there == inputs and lake.resolve(uri).is_file() and not overwrite:
            skipped.append(plate)
        else:
            tasks.append(_Task(plate, uri, inputs, run))
    work = _Work(
        lake,
        model,
        config,
        how,
        Run(
            "embed", {"model": model, "plates": [task.plate for task in tasks], "how": asdict(how)}
        ),
    )
    if tasks:
        skipped += work.carry_out(tasks)
    return Embedded(
        tuple(work.plates), tuple(skipped), work.num_images, work.num_crops, dict(work.left_out)
    )


def _landed(lake: Lake, model: str) -> dict[str, tuple[str, str]]:
    """Hash of the inputs, and run, of each table of a model, by uri."""
    rows = lake.look_up(
        "select uri, inputs_hash, run_id from part where kind = 'embedding' and model = $model",
        {"model": model},
    )
    return {uri: (inputs, run) for uri, inputs, run in rows.iter_rows()}


def _chosen_plates(lake: Lake, plates: Sequence[str], where: str | None) -> list[tuple[str, str]]:
    """Name and content hash of the plates to embed."""
    known = lake.look_up("select plate_id from plate order by 1")["plate_id"].to_list()
    for plate in plates:
        choose("plate", plate, known)
    query = f"select plate_id, content_hash from plate where {where or 'true'} order by plate_id"
    found = lake.query(query, what=f'--where "{where}"')
    rows = [row for row in found.iter_rows() if not plates or row[0] in plates]
    if not rows:
        raise InputError(f'no plate fits --where "{where}"' if where else "the lake has no plate")
    return rows


class _Work:
    """One process that embeds plates, and what it has done."""

    def __init__(self, lake: Lake, model: str, config: ModelConfig, how: How, run: Run) -> None:
        self.lake, self.model, self.config, self.how, self.run = lake, model, config, how, run
        self.plates: list[str] = []
        self.num_images = self.num_crops = 0
        self.left_out: Counter[str] = Counter()
        self._forward: Forward | None = None

    def carry_out(self, tasks: list[_Task]) -> list[str]:
        """Embed the plates that no other process holds, then wait for the others.

        Returns the plates that other processes have embedded meanwhile.
        """
        elsewhere = []
        waiting, passed = deque(tasks), 0
        sizes = self._sizes([task.plate for task in tasks])
        unit = "images" if self.config.kind in _WITHOUT_NETWORK else "crops"
        with progress_bar(f"embed {self.model}", sum(sizes.values()), unit) as advance:
            while waiting:
                task = waiting.popleft()
                name = f"embed-{self.model}-{task.plate}"
                with self.lake.lock(name, wait=passed > len(waiting)) as held:
                    if not held:
                        waiting.append(task)
                        passed += 1
                        continue
                    passed = 0
                    there, run = _landed(self.lake, self.model).get(task.uri, (None, None))
                    if there == task.inputs and run != task.run:
                        elsewhere.append(task.plate)
                        advance(sizes[task.plate])
                    else:
                        self._embed_plate(task, _images(self.lake, task.plate), advance)
        return elsewhere

    def _sizes(self, plates: list[str]) -> dict[str, int]:
        """How many crops, or images for a model without network, each plate has to embed."""
        sizes = dict.fromkeys(plates, 0)
        query = assets.sql("queries", "image_size")
        for row in self.lake.look_up(query, {"plates": plates}).to_dicts():
            crops = 1
            if self.config.kind not in _WITHOUT_NETWORK:
                crops = num_crops_of(row, self.config, self.how.cut)
            num_channels = len(self.config.input_channels) or 1
            sizes[row["plate"]] += crops * row["num_images"] // num_channels
        return sizes

    def _embed_plate(self, task: _Task, images: list[Row], advance: Callable[[int], None]) -> None:
        started = time.monotonic()
        rows, dropped = _inputs(images, self.config)
        encoded, rows = self._encode(rows, dropped, advance) if rows else (None, rows)
        self.left_out.update(dropped)
        if encoded is None or not rows:
            counted = ", ".join(f"{n} {reason}" for reason, n in dropped.items())
            log.warning(f"plate {task.plate} has no image to embed ({counted})")
            return
        about = self._forward.about if self._forward else {}
        part = {
            "kind": "embedding",
            "model": self.model,
            "plate": task.plate,
            "num_rows": len(rows),
            "inputs_hash": task.inputs,
            "dropped": json.dumps(dropped),
            "details": json.dumps(about | asdict(self.how.cut)),
        }
        seconds = time.monotonic() - started
        num_crops = int(encoded.num_crops.sum())
        log.info(f"{task.plate}: {len(rows)} vectors of {num_crops} crops in {seconds:.1f} s")
        parts = {task.uri: part}
        self._write(task.uri, _table(self.model, rows, encoded))
        crops_uri = f"crops/{self.model}/{task.plate}.parquet"
        if encoded.crops is not None:
            self._write(crops_uri, _crop_table(self.model, rows, encoded))
            parts[crops_uri] = part | {"kind": "crop_embedding", "num_rows": len(encoded.crops)}
            land_parts(self.lake, self.run, parts)
        else:
            # Crops that were kept of an earlier table would no longer be those of this one.
            land_parts(self.lake, self.run, parts, gone=[crops_uri])
            self.lake.resolve(crops_uri).unlink(missing_ok=True)
        self.plates.append(task.plate)
        self.num_images += len(rows)
        self.num_crops += num_crops

    def _encode(
        self, rows: list[Row], dropped: Counter[str], advance: Callable[[int], None]
    ) -> tuple[Encoded, list[Row]]:
        """Vectors of the images, and the rows that they are for."""
        config, how = self.config, self.how
        if config.kind == "gaussian":
            advance(len(rows))
            return gaussian(rows, config), rows
        if config.kind == "cellprofiler":
            rows, vectors = measure_fields(self.lake, rows, config, dropped, advance)
            counts = np.ones(len(rows), np.int32)
            return Encoded(vectors, counts, None, np.empty((0, 2), np.int32)), rows
        if self._forward is None:
            device = device_of(how.device)
            network = load_network(self.lake, self.model, device)
            self._forward = forward_of(
                network,
                config,
                device,
                precision=how.precision,
                engine=how.engine,
                batch_size=how.batch_size,
            )
        encoded = encode(
            self.lake,
            rows,
            config.num_dims,
            config,
            self._forward,
            cut=how.cut,
            keep_crops=how.keep == "crop",
            advance=advance,
        )
        return encoded, rows

    def _write(self, uri: str, table: pa.Table) -> None:
        target = self.lake.resolve(uri)
        for left_over in target.parent.glob(f".{target.name}.*.tmp"):
            left_over.unlink(missing_ok=True)  # of a process that was killed: this one has the lock
        with written_beside(target) as path:
            pq.write_table(table, path, compression="none", use_dictionary=list(_TEXT))


def _images(lake: Lake, plate: str) -> list[Row]:
    """Images of a plate in the order of its table, each with the uri of its field."""
    return lake.look_up(assets.sql("queries", "images_of_plate"), {"plate": plate}).to_dicts()


def _inputs(images: list[Row], config: ModelConfig) -> tuple[list[Row], Counter[str]]:
    """What a model embeds of a plate's images, and why it does not embed the others."""
    rows = [row for row in images if row["qc"] not in _NOT_EMBEDDED]
    dropped = Counter(row["qc"] for row in images if row["qc"] in _NOT_EMBEDDED)
    if config.input_channels:
        num_images = sum(row["channel"] in config.input_channels for row in rows)
        dropped["no_input_of_the_model"] = len(rows) - num_images
        if num_images:
            rows = stacked(pa.Table.from_pylist(rows), config.input_channels).to_pylist()
        else:
            rows = []
        dropped["field_without_all_channels"] = num_images - len(rows) * len(config.input_channels)
    return rows, +dropped


def gaussian(rows: list[Row], config: ModelConfig) -> Encoded:
    """Standard normal vectors, the same for every field of a well and channel.

    So a well's profile is itself a draw from the standard normal, as in the paper's baseline.
    """
    vectors = np.empty((len(rows), config.num_dims), dtype=np.float32)
    for i, row in enumerate(rows):
        key = f"{config.seed}|{row['plate']}|{row['well']}|{row['channel']}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
        vectors[i] = np.random.default_rng(seed).standard_normal(config.num_dims)
    return Encoded(vectors, np.ones(len(rows), np.int32), None, np.empty((0, 2), np.int32))


def _table(model: str, rows: list[Row], encoded: Encoded) -> pa.Table:
    """The embedding table of a plate, in the schema of `schemas/embedding.arrow.json`."""
    return _as_table("embedding", model, rows, {"num_crops": encoded.num_crops}, encoded.means)


def _crop_table(model: str, rows: list[Row], encoded: Encoded) -> pa.Table:
    """The table of a plate's crops, in the schema of `schemas/crop_embedding.arrow.json`."""
    assert encoded.crops is not None
    owners = np.repeat(np.arange(len(rows)), encoded.num_crops)
    top, left = encoded.places.T
    return _as_table(
        "crop_embedding",
        model,
        [rows[i] for i in owners],
        {"top_px": top, "left_px": left},
        encoded.crops,
    )


def _as_table(
    name: str,
    model: str,
    rows: list[Row],
    columns: dict[str, NDArray[Any]],
    vectors: NDArray[np.float32],
) -> pa.Table:
    num_dims = vectors.shape[1]
    schema = assets.arrow_schema(name, num_dims)
    values: dict[str, Any] = {
        "model": [model] * len(rows),
        **{key: [row[key] for row in rows] for key in ("plate", "well", "field", "channel")},
        # A network of several channels is named by all, and placed by the first.
        "channel_index": [int(np.min(row["channel_index"])) for row in rows],
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), num_dims),
        **columns,
    }
    return pa.Table.from_pydict({key: values[key] for key in schema.names}, schema=schema)
