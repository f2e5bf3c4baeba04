"""DINO training: samples drawn by SQL, steps, checkpoints, and the model that lands in the lake.

Run with `torchrun -m unidino train ...`, every minibatch is shared among its processes.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import timm
import torch

from unidino.core.choices import RecipeName
from unidino.core.errors import InputError, LakeError, ModelError
from unidino.core.files import written_beside
from unidino.core.progress import progress_bar
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.packaged import bring_packaged
from unidino.models.registry import check_new_name, load_config, load_encoder, register
from unidino.training.checkpoint import State, load_checkpoint, save_checkpoint
from unidino.training.dino import Dino, Step
from unidino.training.epoch_log import EpochLog, Figures, refuse_collapse, step_figures
from unidino.training.network import model_config_of
from unidino.training.probe import Probe
from unidino.training.processes import Processes, StopRequest, joined, stop_on_sigterm
from unidino.training.reader import CropReader, Crops
from unidino.training.recipe import TrainConfig, config_of, network_choices
from unidino.training.samples import Order, image_names, rows_hash, select_samples
from unidino.training.schedules import Schedules, teacher_temperatures
from unidino.training.views import ViewMaker, seed_of

_SEEN_STEPS = 8  # whose embeddings the figures of an epoch are computed from


def train(
    lake: Lake,
    name: str,
    *,
    recipe: RecipeName = "paper",
    config: TrainConfig | Mapping[str, Any] | None = None,
    samples: str = "training_sample",
    start: str | None = None,
    probe: str | None = None,
    resume: bool = False,
    device: str = "cpu",
) -> Results[Figures]:
    """Figures of each epoch of a new model trained on the samples; the model lands in the lake.

    config: changes to the recipe by name, or a whole configuration in its place.
    samples: a view's name or a SELECT with the columns of `training_sample`.
    start: a model, also a packaged one, that student and teacher start from; without other choices
    the new model has its network, crops and scaling.
    probe: a view or SELECT with the columns of `labelled_sample`, judged every few epochs.
    resume: continue from the checkpoint of this name, with the arguments of its first run.
    Raises ModelError if the name is taken, the loss is not finite, the features collapse, or the
    process is asked to end (a checkpoint is written); InputError if there is nothing to train on.

    >>> import unidino as ud
    >>> changes = {"epochs": 1, "batch_size": 8, "crop_size_px": 32}
    >>> epochs = ud.train(lake, "mine", recipe="small", config=changes)
    >>> epochs.frame.columns[:3]
    ['epoch', 'loss', 'steps']
    """
    run = Run.of("train", locals())
    check_new_name(lake, name)
    if start:
        bring_packaged(lake, start)
    if resume and (config or start or probe):
        raise InputError(
            "--resume continues with the options of the first run; give --model only, without"
            " changes"
        )
    if recipe == "adapt" and not start and not resume:
        raise InputError(
            "--recipe adapt continues a model: name it with --start, such as --start base"
        )
    with joined(device) as processes:
        if resume:
            tensors, state = load_checkpoint(_checkpoint_of(lake, name))
            config = TrainConfig.model_validate(state.config)
        else:
            if not isinstance(config, TrainConfig):
                network = _network_of(lake, start) if start else {}
                config = config_of(recipe, network | dict(config or {}))
            tensors, state = {}, State(config.model_dump(), samples, start, probe)
        run.arguments = {
            **run.arguments,
            "config": state.config,
            "samples": state.samples,
            "start": state.start,
            "probe": state.probe,
        }
        training = _Training(lake, name, config, state, processes)
        if tensors:
            training.dino.load_state(tensors)
        training.run()
        if processes.is_first:
            training.land(run)
        return Results(state.log, lambda log: pl.DataFrame(log, infer_schema_length=None))


def _network_of(lake: Lake, start: str) -> dict[str, Any]:
    """Choices of the network of a model to start from.

    Raises ModelError if it is not a vision transformer that can be trained.
    """
    config = load_config(lake, start)
    if config.kind != "vit" or not timm.is_model(config.architecture or ""):
        what = config.architecture or config.kind
        raise ModelError(
            f"a training cannot start from '{start}' ({what}); choose a vision transformer"
        )
    return network_choices(config)


def _checkpoint_of(lake: Lake, name: str) -> Path:
    return lake.path / "models" / name / "checkpoint.safetensors"


class _Training:
    """One process of a training."""

    def __init__(
        self, lake: Lake, name: str, config: TrainConfig, state: State, processes: Processes
    ) -> None:
        self.lake, self.name, self.config, self.state = lake, name, config, state
        self.processes = processes
        self.model_config = model_config_of(config)
        processes.check_shares(config.batch_size, config.accumulate)
        self.table = select_samples(
            lake,
            state.samples,
            controls=config.controls,
            input_channels=config.input_channels,
            seed=config.seed,
        )
        samples_hash = rows_hash(self.table)
        if state.samples_hash not in (None, samples_hash):
            raise ModelError(
                f"the samples of '{name}' are no longer those of its first run, because the lake"
                " has changed; train anew under another name"
            )
        state.samples_hash = samples_hash
        self.order = Order(self.table, config)
        self.steps_per_epoch = self.order.steps_per_epoch
        device = processes.device
        encoder = load_encoder(lake, state.start, device) if state.start else None
        self.dino = Dino(config, device, encoder)
        self.warm_up = max(config.last_layer_frozen, config.learning_rate_warmup)  # epochs
        self.views = ViewMaker(config, self.table, processes)
        self.reader = CropReader(
            lake,
            self.table,
            (config.num_global_crops, config.crop_size_px),
            (config.num_local_crops, config.local_crop_size_px),
            cells=config.cells,
        )
        self.probe = None
        if state.probe and processes.is_first:
            self.probe = Probe.of(lake, state.probe, self.model_config, device)

    def run(self) -> None:
        """Train to the last epoch."""
        num_steps = self.config.epochs * self.steps_per_epoch
        schedules = Schedules.of(self.config, self.steps_per_epoch)
        temperatures = teacher_temperatures(self.config)
        folder = self.lake.path / "models" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        is_first = self.processes.is_first
        epoch_log = EpochLog(folder, self.warm_up, num_steps) if is_first else None
        label = f"train {self.name}"
        try:
            with (
                stop_on_sigterm() as request,
                progress_bar(label, num_steps, "steps", quiet=not is_first) as advance,
            ):
                advance(self.state.step)
                while self.state.step < num_steps:
                    epoch = self.state.step // self.steps_per_epoch
                    temperature = float(temperatures[epoch])
                    self._epoch(epoch, schedules, temperature, request, advance, epoch_log)
        finally:
            if epoch_log:
                epoch_log.close()
        if epoch_log:
            epoch_log.judge_whole(self.state.log)

    def _epoch(
        self,
        epoch: int,
        schedules: Schedules,
        temperature: float,
        request: StopRequest,
        advance: Callable[[int], None],
        epoch_log: EpochLog | None,
    ) -> None:
        """The steps of an epoch that are not done yet; then its figures and a checkpoint."""
        config, state = self.config, self.state
        minibatches = self.reader.minibatches(
            self.order.epoch(epoch),
            config.batch_size,
            config.seed,
            epoch,
            first=state.step - epoch * self.steps_per_epoch,
            rank=self.processes.rank,
            world=self.processes.world,
        )
        started, waited = time.monotonic(), 0.0
        num_steps, recent = 0, list[Step]()
        while state.step < (epoch + 1) * self.steps_per_epoch:
            before = time.monotonic()
            try:
                crops = next(minibatches)
            except LakeError as error:
                self._save()
                raise LakeError(
                    f"{error}; a checkpoint is kept: repair the lake, then --resume"
                ) from error
            waited += time.monotonic() - before
            step = self._step(crops, epoch, schedules, temperature)
            if epoch_log:
                epoch_log.step(state.step - 1, step.loss)
            recent = [*recent[1 - _SEEN_STEPS :], step]
            num_steps += 1
            advance(1)
            if state.step % self.steps_per_epoch:
                self._stop_if(request)
        seconds = time.monotonic() - started
        figures = {
            "epoch": epoch,
            "loss": float(np.mean(state.losses)),
            "steps": state.step,
            "learning_rate": float(schedules.learning_rate[state.step - 1]),
            **step_figures(recent),
            "teacher_distance": self.dino.teacher_distance(),
            "images_per_s": num_steps * config.batch_size / seconds,
            "waiting": waited / seconds,
        }
        if self.probe and ((epoch + 1) % config.probe_every == 0 or epoch + 1 == config.epochs):
            accuracies = self.probe(self.dino.teacher.encoder)
            figures |= {f"probe_{dataset}": value for dataset, value in accuracies.items()}
        state.log.append(figures)
        state.losses.clear()
        self._save()
        if epoch_log:
            epoch_log.epoch(state.log)
        if epoch >= self.warm_up:
            refuse_collapse(figures, self.name)
        self._stop_if(request)

    def _step(self, crops: Crops, epoch: int, schedules: Schedules, temperature: float) -> Step:
        """One step of the student and the teacher."""
        config, step = self.config, self.state.step
        global_views, local_views = self.views(crops, step)
        torch.manual_seed(seed_of(config.seed, step, self.processes.rank))
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
            names = image_names(self.table, crops.images)
            raise ModelError(f"the loss is {done.loss} at step {step}; images: {names}")
        self.state.step += 1
        self.state.losses.append(done.loss)
        return done

    def _stop_if(self, request: StopRequest) -> None:
        """Save and raise ModelError if any process was asked to end."""
        if self.processes.any(request.was_made):
            self._save()
            raise ModelError(
                f"stopped at step {self.state.step}, as asked; continue with"
                f" `unidino train --model {self.name} --resume`"
            )

    def _save(self) -> None:
        if self.processes.is_first:
            save_checkpoint(_checkpoint_of(self.lake, self.name), self.dino.state(), self.state)

    def land(self, run: Run) -> None:
        """Register the teacher as a model of the lake, with what it was trained on."""
        folder = self.lake.path / "models" / self.name
        with written_beside(folder / "samples.parquet") as path:
            pq.write_table(self.table, path, compression="zstd")
        register(
            self.lake,
            run,
            self.name,
            self.model_config,
            self.dino.teacher.encoder,
            samples=self.state.samples,
            parent=self.state.start,
        )
        _checkpoint_of(self.lake, self.name).unlink(missing_ok=True)
