"""Commands that make models, and embed images by them."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from unidino.cli.output import DEFAULT_LAKE, JsonOption, LakeOption, emit, names
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.lake.lake import Lake

app = typer.Typer(help="List the models of a lake, or create one.", add_completion=False)


def train(
    model: Annotated[str, typer.Option(help="Name of the new model.")],
    lake: LakeOption = DEFAULT_LAKE,
    samples: Annotated[
        str, typer.Option(help="A view, or a SELECT with the columns of training_sample.")
    ] = "training_sample",
    preset: Annotated[str, typer.Option(help="paper, published or small.")] = "paper",
    config: Annotated[Path | None, typer.Option(help="JSON with changes to the preset.")] = None,
    start: Annotated[str | None, typer.Option(help="Model to start from.")] = None,
    probe: Annotated[
        str | None, typer.Option(help="labelled_sample, or a SELECT: 1-NN every few epochs.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint of this name.")
    ] = False,
    epochs: Annotated[int | None, typer.Option()] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images over all processes.")] = None,
    architecture: Annotated[str | None, typer.Option(help="A timm vision transformer.")] = None,
    crop_size: Annotated[int | None, typer.Option(help="Side of the global crops, px.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ...")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Train a single-channel vision transformer with DINO; torchrun shares it among processes."""
    from unidino.training import recipe
    from unidino.training import train as module

    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "architecture": architecture,
        "crop_size_px": crop_size,
        "precision": precision,
        "seed": seed,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if resume and (changes or config or start or probe):
        raise InputError(
            "--resume goes on with what the training was begun with; give --model only"
        )
    figures = module.train(
        Lake.open(lake),
        model,
        samples=samples,
        start=start,
        probe=probe,
        resume=resume,
        config=recipe.read_config(preset, config, changes),
        device=device,
    )
    if os.environ.get("RANK", "0") == "0":
        emit(as_json, figures)


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context, lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False
) -> None:
    """List the models of a lake, or create one."""
    if context.invoked_subcommand is None:
        from unidino.core import assets

        table = Lake.open(lake).look_up(assets.sql("queries", "model_list"))
        emit(as_json, table.to_dicts(), table)


@app.command("create")
def models_create(
    preset: Annotated[
        str,
        typer.Argument(
            help="random_vit, gaussian, imagenet_dino, cellprofiler, or any timm network by name."
        ),
    ],
    lake: LakeOption = DEFAULT_LAKE,
    model: Annotated[str | None, typer.Option(help="Name; default: the preset's.")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    like: Annotated[
        str | None, typer.Option(help="A model whose network, crops and scaling to copy.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File of pretrained weights, instead of the model hub's.")
    ] = None,
    normalization: Annotated[
        Literal["none", "imagenet"],
        typer.Option(help="none or imagenet: how colour images enter the pretrained network."),
    ] = "none",
    nuclei: Annotated[
        str | None, typer.Option(help="Channel to segment (cellprofiler); default: by its name.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a system to compare with: random, Gaussian, pretrained or measured."""
    from unidino.models import baselines

    name = baselines.create_model(
        Lake.open(lake),
        preset,
        model,
        like=like,
        weights=weights,
        normalization=normalization,
        nuclei=nuclei,
        seed=seed,
    )
    emit(as_json, {"model": name})


@app.command("import")
def models_import(
    file: Annotated[Path, typer.Argument(help="Checkpoint (.pth) or .safetensors; tensors only.")],
    model: Annotated[str, typer.Option(help="Name of the new model.")],
    lake: LakeOption = DEFAULT_LAKE,
    architecture: Annotated[
        str, typer.Option(help="A timm vision transformer, or microsnoop.")
    ] = "vit_small_patch16_224",
    intensity: Annotated[
        Literal["dtype", "percentile"],
        typer.Option(help="dtype (values over the type's maximum) or percentile."),
    ] = "dtype",
    input_channels: Annotated[
        str, typer.Option(help="Channels that the network sees at once, separated by commas.")
    ] = "",
    normalization: Annotated[
        Literal["none", "imagenet"],
        typer.Option(help="none or imagenet: how colour images entered the network."),
    ] = "none",
    licence: Annotated[str | None, typer.Option(help="Kept with the model.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Import published weights: of uniDINO, DINO or Microsnoop."""
    from unidino.models import weights

    config = weights.import_model(
        Lake.open(lake),
        file,
        model,
        architecture=architecture,
        intensity=intensity,
        normalization=normalization,
        input_channels=names(input_channels),
        licence=licence,
    )
    emit(
        as_json,
        {
            "model": model,
            "dims": config.num_dims,
            "crop_px": config.crop_size_px,
            "intensity": config.intensity,
        },
    )


def embed(
    model: Annotated[str, typer.Option(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    plate: Annotated[list[str] | None, typer.Option(help="Plate to embed; repeatable.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every plate of the lake.")] = False,
    where: Annotated[str | None, typer.Option(help="SQL condition over the table plate.")] = None,
    shard: Annotated[str, typer.Option(help="i/n: the i-th of n parts, for job arrays.")] = "1/1",
    cover: Annotated[bool, typer.Option(help="Crops at the far edges too.")] = False,
    short_side: Annotated[
        int | None, typer.Option(help="Resize fields to this shorter side first, px.")
    ] = None,
    keep: Annotated[
        Literal["mean", "crop"], typer.Option(help="mean, or crop to keep each crop's vector.")
    ] = "mean",
    precision: Annotated[
        Literal["fp32", "bf16"],
        typer.Option(help="fp32 or bf16; --engine auto takes bf16 only if faster."),
    ] = "fp32",
    engine: Annotated[
        Literal["auto", "torch", "compile", "openvino"],
        typer.Option(help="torch, compile, openvino, or auto: the fastest by measurement."),
    ] = "torch",
    batch_size: Annotated[
        int | None, typer.Option(help="Crops at once; default: by the device.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ...")] = "cpu",
    overwrite: Annotated[bool, typer.Option(help="Embed again what is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Embed every channel of every field of plates."""
    if not (plate or every or where):
        raise InputError("say which plates: --plate NAME (repeatable), --where SQL, or --all")
    from unidino.embeddings import embed as module
    from unidino.embeddings.encode import Cut

    for name, value in (("--short-side", short_side), ("--batch-size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    how = module.How(
        Cut(cover, short_side),
        keep,
        precision,
        engine,
        batch_size,
        device,
    )
    done = module.embed(
        Lake.open(lake),
        model,
        plates=plate or [],
        where=where,
        shard=_shard(shard),
        how=how,
        overwrite=overwrite,
    )
    if not done.plates and done.skipped:
        log.info(f"nothing to do: model {model} has embedded {', '.join(done.skipped)} already")
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
    """Part and number of parts of `i/n`."""
    part, _, total = text.partition("/")
    if not (part.isdigit() and total.isdigit() and 1 <= int(part) <= int(total)):
        raise InputError(f"--shard is '{text}'; it must be i/n with i from 1 to n, as 3/8")
    return int(part), int(total)
