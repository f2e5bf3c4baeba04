"""The loop of a DINO training: samples drawn by SQL, steps, checkpoints, what is logged.

Run with `torchrun -m unidino train ...` it shares every minibatch among its processes.

Shapes: B images, G global and L local views of each.
"""

import hashlib
import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from unidino.core.errors import InputError, LakeError, ModelError
from unidino.core.files import written_beside
from unidino.core.log import log, progress_bar
from unidino.embeddings.forward import device_of
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.networks import intensity_range, scaled
from unidino.models.registry import check_new_name, load_encoder, register
from unidino.training.augment import NUM_DRAWS, augmented, saturated
from unidino.training.checkpoint import load_checkpoint, save_checkpoint
from unidino.training.dino import Dino, Step, effective_rank, model_config_of
from unidino.training.probe import Probe
from unidino.training.reader import CropReader, Crops
from unidino.training.recipe import PRESETS, Schedules, TrainConfig, teacher_temperatures
from unidino.training.samples import draw_epoch, per_channel, select_samples

Figures = dict[str, float]

_SEEN_STEPS = 8  # whose embeddings make the figures of an epoch
_LEAST_RANK, _LEAST_SPREAD = 1.2, 1e-3  # below either the features are one and the same


def train(
    lake: Lake,
    name: str,
    *,
    samples: str = "training_sample",
    config: TrainConfig = PRESETS["paper"],
    start: str | None = None,
    probe: str | None = None,
    resume: bool = False,
    device: str = "cpu",
    on_epoch: Callable[[Figures], None] | None = None,
) -> list[Figures]:
    """Figures of each epoch of a new model trained on the samples; the model lands in the lake.

    samples: a view's name or a SELECT with the columns of `training_sample`.
    start: a model of the lake that student and teacher start from.
    probe: a view or SELECT with the columns of `labelled_sample`, judged every few epochs.
    resume: go on from the checkpoint of this name, with what it was begun with.
    Raises ModelError if the name is taken, the loss is not finite, the features collapse or the
    process is asked to end (a checkpoint is there), InputError if there is nothing to train on.
    """
    check_new_name(lake, name)
    with _processes(device) as (torch_device, rank, world):
        folder = lake.path / "models" / name
        if resume:
            tensors, saved = load_checkpoint(folder / "checkpoint.safetensors")
            state = _State(**saved)
            config = TrainConfig.model_validate(state.config)
        else:
            tensors = {}
            state = _State(config.model_dump(), samples, start, probe)
        if config.batch_size % (world * config.accumulate):
            raise InputError(
                f"a minibatch of {config.batch_size} is not shared by {world} processes in"
                f" {config.accumulate} parts; choose a multiple of {world * config.accumulate}"
            )
        training = _Training(lake, name, config, state, torch_device, rank, world)
        if tensors:
            training.dino.load_state(tensors)
        epochs = training.run(on_epoch)
        if rank == 0:
            training.land()
        return epochs


@contextmanager
def _processes(device: str) -> Iterator[tuple[torch.device, int, int]]:
    """Device, rank and number of processes: those that torchrun started, else this one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield device_of(device), 0, 1
        return
    chosen = device_of(device)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield chosen, dist.get_rank(), world
    finally:
        dist.destroy_process_group()


@dataclass
class _State:
    """What a checkpoint holds besides tensors: how a run began, and how far it is."""

    config: dict[str, Any]
    samples: str
    start: str | None = None
    probe: str | None = None
    step: int = 0
    log: list[Figures] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    samples_hash: str | None = None


class _Training:
    """One process of a training."""

    def __init__(
        self,
        lake: Lake,
        name: str,
        config: TrainConfig,
        state: _State,
        device: torch.device,
        rank: int,
        world: int,
    ) -> None:
        self.lake = lake
        self.name = name
        self.config = config
        self.model_config = model_config_of(config)
        self.state = state
        self.rank = rank
        self.world = world
        self.folder = lake.path / "models" / name
        self._stop_asked = False
        self.run_record = Run(
            "train",
            {"model": name, "samples": state.samples, "start": state.start, "config": state.config},
        )
        self.table = select_samples(
            lake,
            state.samples,
            controls=config.controls,
            input_channels=config.input_channels,
            seed=config.seed,
        )
        samples_hash = _hash_of(self.table)
        if state.samples_hash not in (None, samples_hash):
            raise ModelError(
                f"the samples of '{name}' are no longer those it was begun with (the lake has"
                " changed); train anew under another name"
            )
        state.samples_hash = samples_hash
        order = self._draw(0)
        self.steps_per_epoch = len(order) // config.batch_size
        if self.steps_per_epoch == 0:
            raise InputError(
                f"an epoch has {len(order)} samples, fewer than one minibatch of"
                f" {config.batch_size}; pass --batch-size {len(order)} or less"
            )
        encoder = load_encoder(lake, state.start, device) if state.start else None
        self.dino = Dino(config, device, encoder)
        self.low, self.high = _ranges(self.table, config, device)
        self.reader = CropReader(
            lake,
            self.table,
            (config.num_global_crops, config.crop_size_px),
            (config.num_local_crops, config.local_crop_size_px),
            cells=config.cells,
        )
        self.probe = (
            Probe.of(lake, state.probe, self.model_config, device)
            if state.probe and rank == 0
            else None
        )

    def run(self, on_epoch: Callable[[Figures], None] | None) -> list[Figures]:
        """Train to the last epoch; the figures of each."""
        num_steps = self.config.epochs * self.steps_per_epoch
        schedules = Schedules.of(self.config, self.steps_per_epoch)
        temperatures = teacher_temperatures(self.config)
        self.folder.mkdir(parents=True, exist_ok=True)
        writer = SummaryWriter(str(self.folder / "tensorboard")) if self.rank == 0 else None
        try:
            with _on_sigterm(self._ask_to_stop), self._progress(num_steps) as advance:
                advance(self.state.step)
                while self.state.step < num_steps:
                    epoch = self.state.step // self.steps_per_epoch
                    self._epoch(epoch, schedules, float(temperatures[epoch]), advance, writer)
                    if on_epoch and self.rank == 0:
                        on_epoch(self.state.log[-1])
        finally:
            if writer:
                writer.close()
        return self.state.log

    def _progress(self, num_steps: int) -> Any:
        return progress_bar(f"train {self.name}", num_steps, "steps", quiet=self.rank > 0)

    def _epoch(
        self,
        epoch: int,
        schedules: Schedules,
        temperature: float,
        advance: Callable[[int], None],
        writer: SummaryWriter | None,
    ) -> None:
        """The steps of an epoch that are still to be made; then its figures and a checkpoint."""
        config = self.config
        first = self.state.step - epoch * self.steps_per_epoch
        order = self._draw(epoch)
        started, waited = time.monotonic(), 0.0
        num_steps, recent = 0, list[Step]()
        minibatches = self.reader.minibatches(
            order,
            config.batch_size,
            config.seed,
            epoch,
            first=first,
            rank=self.rank,
            world=self.world,
        )
        while self.state.step < (epoch + 1) * self.steps_per_epoch:
            before = time.monotonic()
            try:
                crops = next(minibatches)
            except LakeError as error:
                self._save()
                raise LakeError(f"{error}; training is kept: mend it, then --resume") from error
            waited += time.monotonic() - before
            step = self.state.step
            global_views, local_views = self._views(crops)
            torch.manual_seed(_seed(config.seed, step, self.rank))
            done = self.dino.step(
                global_views,
                local_views,
                learning_rate=float(schedules.learning_rate[step]),
                weight_decay=float(schedules.weight_decay[step]),
                teacher_momentum=float(schedules.teacher_momentum[step]),
                teacher_temperature=temperature,
                freeze_last_layer=epoch < config.last_layer_frozen,
            )
            if not math.isfinite(done.loss):
                named = _named(self.table, crops)
                raise ModelError(f"the loss is {done.loss} at step {step}; images: {named}")
            self.state.step += 1
            self.state.losses.append(done.loss)
            recent = [*recent[1 - _SEEN_STEPS :], done]
            num_steps += 1
            advance(1)
            if writer:
                writer.add_scalar("loss", done.loss, step)
            if self.state.step % self.steps_per_epoch:
                self._stop_if_asked()
        seconds = time.monotonic() - started
        figures = self._figures(epoch, schedules, recent)
        figures["images_per_s"] = num_steps * config.batch_size / seconds
        figures["waiting"] = waited / seconds
        if self.probe and ((epoch + 1) % config.probe_every == 0 or epoch + 1 == config.epochs):
            accuracies = self.probe(self.dino.teacher.encoder)
            figures |= {f"probe_{dataset}": value for dataset, value in accuracies.items()}
        self.state.log.append(figures)
        self.state.losses.clear()
        self._save()
        if self.rank == 0:
            self._tell(figures, writer)
        if epoch >= max(config.last_layer_frozen, config.learning_rate_warmup):
            _refuse_collapse(figures, self.name)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        """Save and raise ModelError if any process was asked to end."""
        asked = self._stop_asked
        if self.world > 1:
            flag = torch.tensor([float(asked)], device=self.dino.device)
            dist.all_reduce(flag)
            asked = bool(flag.item())
        if asked:
            self._save()
            raise ModelError(
                f"stopped at step {self.state.step}, as asked; go on with"
                f" `unidino train --model {self.name} --resume`"
            )

    def _figures(self, epoch: int, schedules: Schedules, recent: list[Step]) -> Figures:
        embeddings = torch.cat([step.embeddings for step in recent]).cpu()
        return {
            "epoch": epoch,
            "loss": float(np.mean(self.state.losses)),
            "learning_rate": float(schedules.learning_rate[self.state.step - 1]),
            "teacher_entropy": float(np.mean([step.teacher_entropy for step in recent])),
            "center_norm": recent[-1].center_norm,
            "feature_sd": float(embeddings.std(dim=0).mean()),
            "effective_rank": effective_rank(embeddings),
        }

    def _tell(self, figures: Figures, writer: SummaryWriter | None) -> None:
        probes = ", ".join(f"{k} {v:.3f}" for k, v in figures.items() if k.startswith("probe_"))
        log.info(
            "epoch {epoch:.0f}: loss {loss:.3f}, effective rank {effective_rank:.1f},"
            " {images_per_s:.0f} images/s, {waiting:.0%} waiting for data".format(**figures)
            + (f", {probes}" if probes else "")
        )
        with (self.folder / "train.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in self.state.log)
        if writer:
            for key, value in figures.items():
                if key != "epoch":
                    writer.add_scalar(f"epoch/{key}", value, int(figures["epoch"]))

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        return draw_epoch(
            self.table,
            self.config.seed,
            epoch,
            every_channel=self.config.channels == "all",
            whole_repeats=self.config.balance == "repeats",
        )

    def _views(self, crops: Crops) -> tuple[Tensor, Tensor]:
        """Augmented global (G * B, C, S, S) and local (L * B, C, s, s) views, view-major.

        What is drawn for an image does not depend on the number of processes.
        """
        config, device = self.config, self.dino.device
        generator = torch.Generator().manual_seed(_seed(config.seed, self.state.step))
        images = torch.from_numpy(crops.images).to(device)
        num_images = len(crops.images)
        mine = slice(self.rank * num_images, (self.rank + 1) * num_images)
        views = []
        for raw in (crops.global_crops, crops.local_crops):
            num_views, num_channels = raw.shape[1:3]
            shape = (NUM_DRAWS, num_views, config.batch_size, num_channels)
            draws = torch.rand(shape, generator=generator)[:, :, mine].flatten(1, 2)
            counts = torch.from_numpy(raw).to(device).transpose(0, 1).flatten(0, 1)
            low, high = (r[images].repeat(num_views, 1) for r in (self.low, self.high))
            changed = augmented(scaled(counts, low, high), draws)
            if config.saturation_noise:
                changed = saturated(changed, config.saturation_noise, generator)
            views.append(changed)
        return views[0], views[1]

    def _ask_to_stop(self, signal_number: int, frame: FrameType | None) -> None:
        self._stop_asked = True

    def _save(self) -> None:
        if self.rank == 0:
            path = self.folder / "checkpoint.safetensors"
            save_checkpoint(path, self.dino.state(), vars(self.state))

    def land(self) -> None:
        """Register the teacher as a model of the lake, with what it was trained on."""
        with written_beside(self.folder / "samples.parquet") as path:
            pq.write_table(self.table, path, compression="zstd")
        register(
            self.lake,
            self.run_record,
            self.name,
            self.model_config,
            self.dino.teacher.encoder,
            samples=self.state.samples,
            parent=self.state.start,
        )
        (self.folder / "checkpoint.safetensors").unlink(missing_ok=True)


@contextmanager
def _on_sigterm(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call the handler when the process is asked to end; only a main thread can be asked."""
    try:
        old = signal.signal(signal.SIGTERM, handler)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _refuse_collapse(figures: Figures, name: str) -> None:
    """Raise ModelError if the features of different images are one and the same."""
    if figures["effective_rank"] < _LEAST_RANK or figures["feature_sd"] < _LEAST_SPREAD:
        raise ModelError(
            f"training {name} has collapsed: the features of all images are alike (effective rank"
            f" {figures['effective_rank']:.2f}, standard deviation {figures['feature_sd']:.1e});"
            " lower the learning rate or the teacher's temperature and train anew"
        )


def _ranges(table: pa.Table, config: TrainConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Counts that map to 0 and 1 for each image of the samples: two tensors (num_images, C)."""
    low, high = (per_channel(table[c]).astype(np.float32) for c in ("p0_1", "p99_9"))
    if config.intensity == "dtype":
        dtypes = table["dtype"].to_pylist()
        maxima = {dtype: intensity_range("dtype", dtype, 0, 0)[1] for dtype in set(dtypes)}
        low = np.zeros_like(low)
        high[:] = np.array([maxima[dtype] for dtype in dtypes], dtype=np.float32)[:, None]
    return torch.from_numpy(low).to(device), torch.from_numpy(high).to(device)


def _hash_of(table: pa.Table) -> str:
    """SHA-256 (hex) of a table's rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _seed(*parts: int) -> int:
    text = "|".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())


def _named(table: pa.Table, crops: Crops) -> str:
    rows = table.take(pa.array(crops.images[:8])).to_pylist()
    named = [f"{r['plate']}/{r['well']}/{r['field']}/{r['channel']}" for r in rows]
    return ", ".join(named) + (" ..." if len(crops.images) > 8 else "")
