"""A training as it runs: epochs, steps, checkpoints, and the model that lands."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from unidino.core.errors import LakeError, ModelError
from unidino.core.files import written_beside
from unidino.core.progress import progress_bar
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.registry import checkpoint_of, load_encoder, register
from unidino.training.checkpoint import State, save_checkpoint
from unidino.training.dino import Dino, Step
from unidino.training.epoch_log import EpochLog, refuse_collapse, step_figures
from unidino.training.network import model_config_of
from unidino.training.probe import Probe
from unidino.training.processes import Processes, StopRequest, stop_on_sigterm
from unidino.training.reader import CropReader, Crops
from unidino.training.recipe import TrainConfig
from unidino.training.samples import Order, image_names, rows_hash, select_samples
from unidino.training.schedules import Schedules, teacher_temperatures
from unidino.training.views import ViewMaker, seed_of

_SEEN_STEPS = 8  # whose embeddings the figures of an epoch are computed from


class Training:
    """One process of a training."""

    def __init__(
        self,
        lake: Lake,
        name: str,
        config: TrainConfig,
        state: State,
        processes: Processes,
        *,
        stage: bool = True,
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
            stage=stage,
        )
        self.probe = None
        if state.probe and processes.is_first:
            self.probe = Probe.of(lake, state.probe, self.model_config, device)

    def run(self) -> None:
        """Train to the last epoch."""
        num_steps = self.config.epochs * self.steps_per_epoch
        schedules = Schedules.of(self.config, self.steps_per_epoch)
        temperatures = teacher_temperatures(self.config)
        folder = self.lake.place_of(f"models/{self.name}")
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
            save_checkpoint(checkpoint_of(self.lake, self.name), self.dino.state(), self.state)

    def land(self, run: Run) -> None:
        """Register the teacher as a model of the lake, with what it was trained on."""

        def write_samples(folder: Path) -> None:
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
            write_more=write_samples,
        )
        checkpoint_of(self.lake, self.name).unlink(missing_ok=True)
