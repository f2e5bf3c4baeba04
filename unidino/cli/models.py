"""Commands that list, create, import, fetch and show models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unidino.cli.output import DEFAULT_LAKE, JsonOption, LakeOption, emit, names, open_lake
from unidino.core.choices import MAX_SEED, Intensity, Normalization

if TYPE_CHECKING:
    from unidino.models.config import ModelConfig

app = typer.Typer(help="List the models of a lake, or create one.", add_completion=False)


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context, lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False
) -> None:
    """List the models of a lake, or create one."""
    if context.invoked_subcommand is None:
        from unidino.core import assets
        from unidino.core.log import log
        from unidino.models.packaged import packaged_names

        table = open_lake(lake).look_up(assets.sql("queries", "model_list"))
        packaged = [name for name in packaged_names() if name not in table["model"]]
        if packaged:
            log.info(f"this package has {', '.join(packaged)} too; `unidino embed` brings it")
        emit(as_json, table.to_dicts(), table)


@app.command("create")
def models_create(
    preset: Annotated[
        str,
        typer.Argument(
            help="random_vit, gaussian, imagenet_dino, cellprofiler, cell_count, codebook, or the"
            " name of a timm network."
        ),
    ],
    lake: LakeOption = DEFAULT_LAKE,
    model: Annotated[
        str | None, typer.Option(help="Name of the model; default: that of the preset.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of random weights, vectors or patches.")
    ] = 0,
    like: Annotated[
        str | None, typer.Option(help="Model whose network, crops and scaling are copied.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File of pretrained weights; default: from the model hub.")
    ] = None,
    normalization: Annotated[
        Normalization,
        typer.Option(help="Normalization of colour images in the training of the network."),
    ] = "none",
    nuclei: Annotated[
        str | None, typer.Option(help="cellprofiler: channel to segment; default: by its name.")
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option(
            help="codebook: a view, or a SELECT with the columns of training_sample, to learn from."
            " [default: training_sample]"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a model to compare with: random, Gaussian, pretrained, measured or patch features."""
    opened = open_lake(lake, writes=True)
    from unidino.models.baselines import create_model

    name = create_model(
        opened,
        preset,
        model,
        like=like,
        weights=weights,
        normalization=normalization,
        nuclei=nuclei,
        samples=samples,
        seed=seed,
    )
    emit(as_json, {"model": name})


@app.command("import")
def models_import(
    file: Annotated[
        Path, typer.Argument(help="Checkpoint (.pth) or .safetensors; only tensors are loaded.")
    ],
    model: Annotated[str, typer.Option(help="Name of the new model.")],
    lake: LakeOption = DEFAULT_LAKE,
    architecture: Annotated[
        str,
        typer.Option(
            help="A timm vision transformer, microsnoop, openphenom, openphenom-channelwise, or"
            " subcell."
        ),
    ] = "vit_small_patch16_224",
    intensity: Annotated[
        Intensity,
        typer.Option(help="Scaling in the training; dtype: by the maximum of the pixel type."),
    ] = "dtype",
    input_channels: Annotated[
        str, typer.Option(help="Channels that the network takes at once, separated by commas.")
    ] = "",
    normalization: Annotated[
        Normalization,
        typer.Option(help="Normalization of colour images in the training of the network."),
    ] = "none",
    crop_size: Annotated[
        int | None, typer.Option(help="Side of the crops to embed, px; default: as in training.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, stored with the model.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import published weights: uniDINO, DINO, DINOv2, Microsnoop, OpenPhenom or SubCell."""
    opened = open_lake(lake, writes=True)
    from unidino.models.weights import import_model

    config = import_model(
        opened,
        file,
        model,
        architecture=architecture,
        intensity=intensity,
        normalization=normalization,
        input_channels=names(input_channels),
        crop_size_px=crop_size,
        licence=licence,
    )
    emit(as_json, _imported(model, config))


@app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """Show everything about one model: what it is, where it comes from, whether it learned."""
    from unidino.models.packaged import packaged_names
    from unidino.reports.shown_model import show_model

    needs_lake = lake.exists() or name not in packaged_names()
    shown = show_model(open_lake(lake) if needs_lake else None, name)
    emit(as_json, shown.as_json(), shown.frame)
    if shown.card and not as_json:
        print(shown.card)


@app.command("fetch")
def models_fetch(
    name: Annotated[
        str | None, typer.Argument(help="Published weights by name; without it, all are listed.")
    ] = None,
    lake: LakeOption = DEFAULT_LAKE,
    model: Annotated[
        str | None, typer.Option(help="Name of the new model; default: the same.")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the licence of the weights.")
    ] = False,
    sha256: Annotated[
        str | None, typer.Option(help="SHA-256 of the file; needed where the table has none.")
    ] = None,
    intensity: Annotated[
        Intensity | None, typer.Option(help="Scaling of intensities; default: by the table.")
    ] = None,
    input_channels: Annotated[
        str, typer.Option(help="Channels that the network takes at once, separated by commas.")
    ] = "",
    crop_size: Annotated[
        int | None, typer.Option(help="Side of the crops to embed, px; default: as in training.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            envvar="UNIDINO_MODEL_TABLE", help="JSON table of weights; default: the package's."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Download published weights and import them; without a name, list them."""
    from unidino.models.fetch import fetch_model, published_models

    if name is None:
        rows = [row.model_dump(mode="json") for row in published_models(table)]
        shown = ("name", "architecture", "licence", "size_bytes", "address")
        short = [{key: row[key] for key in shown} | {"hash": bool(row["sha256"])} for row in rows]
        emit(as_json, rows if as_json else short)
        return
    config = fetch_model(
        open_lake(lake, writes=True),
        name,
        model,
        accept_licence=accept_licence,
        sha256=sha256,
        intensity=intensity,
        input_channels=names(input_channels),
        crop_size_px=crop_size,
        table=table,
    )
    emit(as_json, _imported(model or name, config))


def _imported(model: str, config: "ModelConfig") -> dict[str, object]:
    """What an imported model is, in a row."""
    return {
        "model": model,
        "dims": config.num_dims,
        "crop_px": config.crop_size_px,
        "intensity": config.intensity,
    }
