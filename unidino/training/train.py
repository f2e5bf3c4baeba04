"""DINO training: samples drawn by SQL, steps, checkpoints, and the model that lands in the lake.

Run with `torchrun -m unidino train ...`, every minibatch is shared among its processes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import polars as pl
import timm

from unidino.core.choices import RecipeName
from unidino.core.errors import InputError, ModelError
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.packaged import bring_packaged
from unidino.models.registry import check_new_name, checkpoint_of, load_config, model_names
from unidino.training.checkpoint import State, load_checkpoint
from unidino.training.epoch_log import Figures
from unidino.training.processes import Processes, joined
from unidino.training.recipe import TrainConfig, config_of, network_choices
from unidino.training.running import Training


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
    overwrite: bool = False,
    device: str = "cpu",
    stage: bool = True,
) -> Results[Figures]:
    """Figures of each epoch of a new model trained on the samples; the model lands in the lake.

    config: changes to the recipe by name, or a whole configuration in its place.
    samples: a view's name or a SELECT with the columns of `training_sample`.
    start: a model, also a packaged one, that student and teacher start from; without other choices
    the new model has its network, crops and scaling.
    probe: a view or SELECT with the columns of `labelled_sample`, judged every few epochs.
    resume: continue from the checkpoint of this name, with the arguments of its first run.
    overwrite: discard the checkpoint of an earlier training of this name that is not complete.
    stage: bring the planes of a remote lake to this machine ahead of the steps that need them.
    Raises ModelError if the name is taken, another process trains a model of this name, the loss is
    not finite, the features collapse, or the process is asked to end (a checkpoint is written);
    InputError if there is nothing to train on.

    >>> import unidino as ud
    >>> changes = {"epochs": 1, "batch_size": 8, "crop_size_px": 32}
    >>> epochs = ud.train(lake, "mine", recipe="small", config=changes)
    >>> epochs.frame.columns[:3]
    ['epoch', 'loss', 'steps']
    """
    run = Run.of("train", locals())
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
    with joined(device) as processes, _reserved(lake, name, processes):
        check_new_name(lake, name, trained=resume or overwrite or not processes.is_first)
        if resume:
            tensors, state = load_checkpoint(checkpoint_of(lake, name))
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
        training = Training(lake, name, config, state, processes, stage=stage)
        if tensors:
            training.dino.load_state(tensors)
        training.run()
        if processes.is_first:
            training.land(run)
        return Results(state.log, lambda log: pl.DataFrame(log, infer_schema_length=None))


@contextmanager
def _reserved(lake: Lake, name: str, processes: Processes) -> Iterator[None]:
    """A block in which these processes alone train a model of this name.

    Raises ModelError if others do.
    """
    if not processes.is_first:
        yield
        return
    with lake.lock(f"train-{name}", wait=False) as held:
        if not held:
            raise ModelError(
                f"another process trains '{name}'; wait until it ends, or choose another name"
            )
        if name in model_names(lake):  # a run may have been killed after its model had landed
            checkpoint_of(lake, name).unlink(missing_ok=True)
        yield


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
