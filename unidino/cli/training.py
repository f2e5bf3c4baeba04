"""Commands that train a model, and embed images with one."""

import os
import re
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from unidino.cli.output import DEFAULT_LAKE, JsonOption, LakeOption, emit, one_of, open_lake
from unidino.core.choices import MAX_SEED, Engine, Keep, Precision, RecipeName
from unidino.core.errors import InputError
from unidino.core.log import log


def train(
    model: Annotated[str, typer.Option(help="Name of the new model.")],
    lake: LakeOption = DEFAULT_LAKE,
    samples: Annotated[
        str, typer.Option(help="A view, or a SELECT with the columns of training_sample.")
    ] = "training_sample",
    recipe: Annotated[
        RecipeName | None,
        typer.Option(help="Standard configuration of the training. [default: paper]"),
    ] = None,
    preset: Annotated[RecipeName | None, typer.Option(hidden=True)] = None,
    config: Annotated[
        Path | None, typer.Option(help="JSON file with changes to the recipe.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="Model to start from.")] = None,
    probe: Annotated[
        str | None,
        typer.Option(
            help="Score 1-NN accuracies on labelled_sample, or a SELECT with its columns."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint of the model.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Discard the checkpoint of a training that is not complete."
        ),
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images in a minibatch, over all processes.")
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="A timm vision transformer.")] = None,
    crop_size: Annotated[int | None, typer.Option(help="Side of the global crops, px.")] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="Precision of the computation.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MAX_SEED, help="Seed of all random numbers.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ...")] = "cpu",
    stage: Annotated[
        bool,
        typer.Option(
            "--stage/--no-stage", help="Of a remote lake: bring the planes here ahead of the steps."
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Train a vision transformer with DINO; torchrun splits each minibatch among processes."""
    opened = open_lake(lake, writes=True)
    from unidino.training.recipe import read_changes
    from unidino.training.train import train

    options = {
        "epochs": epochs,
        "batch_size": batch_size,
        "architecture": architecture,
        "crop_size_px": crop_size,
        "precision": precision,
        "seed": seed,
    }
    changes = read_changes(config) if config else {}
    changes |= {name: value for name, value in options.items() if value is not None}
    figures = train(
        opened,
        model,
        recipe=one_of("--recipe", recipe, "--preset", preset) or "paper",
        config=changes,
        samples=samples,
        start=start,
        probe=probe,
        resume=resume,
        overwrite=overwrite,
        device=device,
        stage=stage,
    )
    if os.environ.get("RANK", "0") == "0":
        emit(as_json, list(figures), figures.frame)


def embed(
    model: Annotated[str, typer.Option(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    plate: Annotated[list[str] | None, typer.Option(help="Plate to embed; repeatable.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every plate of the lake.")] = False,
    where: Annotated[str | None, typer.Option(help="SQL condition over the table plate.")] = None,
    shard: Annotated[str, typer.Option(help="i/n: the i-th of n parts, for job arrays.")] = "1/1",
    cover: Annotated[
        bool, typer.Option(help="Add crops that reach the far edges of a field.")
    ] = False,
    short_side: Annotated[
        int | None, typer.Option(help="Resize fields to this shorter side before cropping, px.")
    ] = None,
    keep: Annotated[
        Keep, typer.Option(help="mean: a vector for each image; crop: also one for each crop.")
    ] = "mean",
    precision: Annotated[
        Precision, typer.Option(help="With --engine auto, bf16 is used only if it is faster.")
    ] = "fp32",
    engine: Annotated[
        Engine, typer.Option(help="auto: the fastest of the installed engines, by measurement.")
    ] = "torch",
    batch_size: Annotated[
        int | None, typer.Option(help="Crops in a minibatch; default: by the device.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ...")] = "cpu",
    scheduler: Annotated[
        str | None,
        typer.Option(help="Workers embed: a dask scheduler's file, or its address, tcp://..."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option(help="Embed plates again that are embedded already.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Embed every channel of every field of plates."""
    if not (plate or every or where):
        raise InputError("choose plates with --plate NAME (repeatable), --where SQL, or --all")
    opened = open_lake(lake, writes=True)
    from unidino.embeddings.embed import embed
    from unidino.embeddings.on_cluster import embed_on_cluster

    if scheduler and shard != "1/1":
        raise InputError("--shard and --scheduler both share plates out; give one of them")
    run = partial(embed, shard=_shard(shard))
    done = (partial(embed_on_cluster, scheduler=scheduler) if scheduler else run)(
        opened,
        model,
        plates=plate or [],
        where=where,
        cover=cover,
        short_side_px=short_side,
        keep=keep,
        precision=precision,
        engine=engine,
        batch_size=batch_size,
        device=device,
        overwrite=overwrite,
    )
    if not done.plates and done.skipped:
        log.info(f"nothing to do: model {model} has already embedded {', '.join(done.skipped)}")
    if done.left_out:
        counted = ", ".join(f"{n} {reason}" for reason, n in sorted(done.left_out.items()))
        log.info(f"images left out: {counted}")
    emit(
        as_json,
        {
            "plates": len(done.plates),
            "skipped": len(done.skipped),
            "images": done.num_images,
            "crops": done.num_crops,
        },
    )


def _shard(text: str) -> tuple[int, int]:
    """The part i and the number of parts n of `i/n`."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not (found and 1 <= int(found[1]) <= int(found[2])):
        raise InputError(f"--shard is '{text}'; it must be i/n with i from 1 to n, such as 3/8")
    return int(found[1]), int(found[2])
