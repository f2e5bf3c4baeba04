"""The command line: parse, one library call, print.

Results go to standard output, progress and messages to standard error. Exit status: 0 done, 1 an
error that the user can mend, 2 wrong usage.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from unidino import __version__
from unidino.catalog import Lake
from unidino.errors import InputError, UnidinoError, choose
from unidino.progress import say

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From fluorescence plates on disk to features that can be trusted and queried.",
)
models_app = typer.Typer(help="List the models of a lake, or create one.", add_completion=False)
app.add_typer(models_app, name="models")

LakeOption = Annotated[
    Path, typer.Option("--lake", envvar="UNIDINO_LAKE", help="Folder of the lake.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DEFAULT_LAKE = Path("lake")
_MOST_DETAILS = 1000


def main() -> None:
    """Run the command line; a UnidinoError becomes one line and exit status 1."""
    try:
        app()
    except UnidinoError as error:
        for detail in error.details[:_MOST_DETAILS]:
            say(detail)
        if len(error.details) > _MOST_DETAILS:
            say(f"... and {len(error.details) - _MOST_DETAILS} more")
        say(f"error: {error}")
        sys.exit(1)


def show(table: pl.DataFrame) -> None:
    """Print a table for people: to the terminal's width, or whole where there is no terminal."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, dtype in zip(table.columns, table.dtypes, strict=True):
        grid.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold")
    for row in table.iter_rows():
        grid.add_row(*(_cell(value) for value in row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 1000
    console.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.1f}"
    if isinstance(value, list) and len(value) > 6:
        return f"[{', '.join(_cell(v) for v in value[:4])}, ... {len(value)} values]"
    if isinstance(value, list):
        return f"[{', '.join(_cell(v) for v in value)}]"
    return str(value)


def emit(as_json: bool, document: Any, table: pl.DataFrame | None = None) -> None:
    """Print a result: JSON lines if asked for, else a table."""
    if as_json:
        for line in document if isinstance(document, list) else [document]:
            print(json.dumps(line, default=str))
    elif table is not None:
        show(table)
    else:
        show(pl.DataFrame([document]) if isinstance(document, Mapping) else pl.DataFrame(document))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"unidino {__version__}")
        raise typer.Exit


@app.callback()
def unidino(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From fluorescence plates on disk to features that can be trusted and queried."""


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="New folder for everything.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Of the simulation and the training.")] = 0,
) -> None:
    """Simulate two small screens and run every command on them."""
    from unidino.demo import demo as run_demo

    def run(words: list[str]) -> None:
        app(words, standalone_mode=False)

    show(run_demo(folder, run, seed=seed))


@app.command()
def ingest(
    path: Annotated[Path, typer.Argument(help="Folder of an export or set, or a manifest.")],
    layout: Annotated[
        str, typer.Option(help="manifest, a published set, an instrument, or a .sql file.")
    ] = "manifest",
    lake: LakeOption = DEFAULT_LAKE,
    dataset: Annotated[str | None, typer.Option(help="Collection; default: the folder.")] = None,
    metadata: Annotated[
        list[Path] | None,
        typer.Option(help="Table joined by plate and well, well, plate, or shared columns."),
    ] = None,
    platemap: Annotated[Path | None, typer.Option(help="Table joined first.")] = None,
    pattern: Annotated[
        str | None, typer.Option(help="For filename: regular expression with named groups.")
    ] = None,
    channel_names: Annotated[
        str | None, typer.Option(help="Names in order of channel index: DNA,Actin,Tubulin.")
    ] = None,
    channels: Annotated[str | None, typer.Option(help="Only these: DNA,Actin.")] = None,
    drop_channels: Annotated[
        str | None, typer.Option(help="Without these; * stands for anything: Bright*.")
    ] = None,
    z: Annotated[str, typer.Option(help="Of a stack: max, or the number of a slice.")] = "max",
    timepoint: Annotated[int | None, typer.Option(help="The one to take.")] = None,
    images: Annotated[Path | None, typer.Option(help="Where image paths start from.")] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Register OME-Zarr plates where they lie.")
    ] = False,
    metadata_only: Annotated[
        bool, typer.Option("--metadata-only", help="Register images that are not here.")
    ] = False,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Land the fields that are whole.")
    ] = False,
    illumination: Annotated[
        str | None, typer.Option(help="Folder of .npy functions to divide by, or estimate.")
    ] = None,
    ngff: Annotated[str, typer.Option(help="Version of OME-Zarr: 0.5 or 0.4.")] = "0.5",
    pyramid: Annotated[int, typer.Option(min=0, help="Levels of half the size to add.")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Threads; default: one a core.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace plates with other content.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write images as OME-Zarr plates and register them."""
    from unidino import ingest as module
    from unidino.convert import Form
    from unidino.datasets import Choice

    if not path.exists():
        raise InputError(f"no such file or folder: '{path}'")
    done = module.ingest(
        Lake.create(lake), path, layout, dataset=dataset, metadata=metadata or [],
        platemap=platemap, pattern=pattern, images=images,
        choice=Choice(
            channel_names=_names(channel_names), channels=_names(channels),
            drop_channels=_names(drop_channels), z=z, timepoint=timepoint,
        ),
        form=Form(
            ngff=ngff, pyramid=pyramid, illumination=illumination, in_place=in_place
        ),
        allow_incomplete=allow_incomplete, metadata_only=metadata_only, jobs=jobs,
        overwrite=overwrite,
    )  # fmt: skip
    if done.skipped:
        say(f"{len(done.skipped)} plates were in the lake already")
    emit(as_json, {
        "plates": len(done.landed), "skipped": len(done.skipped), "wells": done.num_wells,
        "fields": done.num_fields, "images": done.num_images, "problems": len(done.problems),
    })  # fmt: skip
    if done.problems:
        raise InputError(
            f"{len(done.problems)} rows or images could not be used; the rest landed (mend them and"
            " run again with --overwrite)",
            done.problems,
        )


def _names(listed: str | None) -> list[str]:
    return [name.strip() for name in listed.split(",")] if listed else []


@app.command()
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
    from unidino import recipe
    from unidino import train as module

    given = {"epochs": epochs, "batch_size": batch_size, "architecture": architecture,
             "crop_size_px": crop_size, "precision": precision, "seed": seed}  # fmt: skip
    changes = {name: value for name, value in given.items() if value is not None}
    if resume and (changes or config or start or probe):
        raise InputError(
            "--resume goes on with what the training was begun with; give --model only"
        )
    log = module.train(
        Lake.open(lake), model, samples=samples, start=start, probe=probe, resume=resume,
        config=recipe.read_config(preset, config, changes), device=device,
    )  # fmt: skip
    if os.environ.get("RANK", "0") == "0":
        emit(as_json, log)


@models_app.callback(invoke_without_command=True)
def models(
    context: typer.Context, lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False
) -> None:
    """List the models of a lake, or create one."""
    if context.invoked_subcommand is None:
        from unidino import assets

        table = Lake.open(lake).look_up(assets.sql("queries", "model_list"))
        emit(as_json, table.to_dicts(), table)


@models_app.command("create")
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
        str, typer.Option(help="none or imagenet: how colour images enter the pretrained network.")
    ] = "none",
    nuclei: Annotated[
        str | None, typer.Option(help="Channel to segment (cellprofiler); default: by its name.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a system to compare with: random, Gaussian, pretrained or measured."""
    from unidino import systems

    choose("normalization", normalization, ["none", "imagenet"])
    name = systems.create(
        Lake.open(lake), preset, model, like=like, weights=weights,
        normalization=normalization, nuclei=nuclei, seed=seed,  # type: ignore[arg-type]
    )  # fmt: skip
    emit(as_json, {"model": name})


@models_app.command("import")
def models_import(
    file: Annotated[Path, typer.Argument(help="Checkpoint (.pth) or .safetensors; tensors only.")],
    model: Annotated[str, typer.Option(help="Name of the new model.")],
    lake: LakeOption = DEFAULT_LAKE,
    architecture: Annotated[
        str, typer.Option(help="A timm vision transformer, or microsnoop.")
    ] = "vit_small_patch16_224",
    intensity: Annotated[
        str, typer.Option(help="dtype (values over the type's maximum) or percentile.")
    ] = "dtype",
    input_channels: Annotated[
        str, typer.Option(help="Channels that the network sees at once, separated by commas.")
    ] = "",
    normalization: Annotated[
        str, typer.Option(help="none or imagenet: how colour images entered the network.")
    ] = "none",
    licence: Annotated[str | None, typer.Option(help="Kept with the model.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Import published weights: of uniDINO, DINO or Microsnoop."""
    from unidino import systems

    choose("intensity", intensity, ["dtype", "percentile"])
    choose("normalization", normalization, ["none", "imagenet"])
    config = systems.import_weights(
        Lake.open(lake), file, model, architecture=architecture,
        intensity=intensity, normalization=normalization,  # type: ignore[arg-type]
        input_channels=_names(input_channels), licence=licence,
    )  # fmt: skip
    emit(as_json, {"model": model, "dims": config.num_dims, "crop_px": config.crop_size_px,
                   "intensity": config.intensity})  # fmt: skip


@app.command()
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
    keep: Annotated[str, typer.Option(help="mean, or crop to keep each crop's vector.")] = "mean",
    precision: Annotated[
        str, typer.Option(help="fp32 or bf16; --engine auto takes bf16 only if faster.")
    ] = "fp32",
    engine: Annotated[
        str, typer.Option(help="torch, compile, openvino, or auto: the fastest by measurement.")
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
    from unidino import embed as module
    from unidino.encode import Cut

    for name, value in (("--short-side", short_side), ("--batch-size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    how = module.How(
        Cut(cover, short_side), keep, precision, engine, batch_size, device,  # type: ignore[arg-type]
    )  # fmt: skip
    done = module.embed(
        Lake.open(lake), model, plates=plate or [], where=where, shard=_shard(shard), how=how,
        overwrite=overwrite,
    )  # fmt: skip
    if not done.plates and done.skipped:
        say(f"nothing to do: model {model} has embedded {', '.join(done.skipped)} already")
    if done.left_out:
        counted = ", ".join(f"{n} {reason}" for reason, n in sorted(done.left_out.items()))
        say(f"images left out: {counted}")
    emit(as_json, {"plates": len(done.plates), "skipped": len(done.skipped),
                   "images": done.num_images, "crops": done.num_crops})  # fmt: skip


def _shard(text: str) -> tuple[int, int]:
    """Part and number of parts of `i/n`."""
    part, _, total = text.partition("/")
    if not (part.isdigit() and total.isdigit() and 1 <= int(part) <= int(total)):
        raise InputError(f"--shard is '{text}'; it must be i/n with i from 1 to n, as 3/8")
    return int(part), int(total)


NORMALIZE_HELP = (
    "mad_robustize, standardize, spherize, tvn, tvn_efaar, none; steps joined by +, options after"
    " commas: mad_robustize+spherize,controls=negcon,clip=10."
)
LEVEL_HELP = "field, well, treatment, compound, plate, batch or source."


@app.command()
def profile(
    lake: LakeOption = DEFAULT_LAKE,
    model: Annotated[list[str] | None, typer.Option(help="Default: every model.")] = None,
    normalize: Annotated[str, typer.Option(help=NORMALIZE_HELP)] = "mad_robustize",
    level: Annotated[str, typer.Option(help=LEVEL_HELP)] = "well",
    controls: Annotated[
        str | None, typer.Option(help="Wells to learn from: all, or a control_type.")
    ] = None,
    per: Annotated[
        str | None, typer.Option(help="Normalized apart: plate, batch or dataset.")
    ] = None,
    channels: Annotated[str | None, typer.Option(help="Only these: DNA,Actin.")] = None,
    statistics: Annotated[
        Path | None, typer.Option(help="Parquet of the table statistic to apply, not to learn.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Aggregate embeddings to profiles and normalize them per plate."""
    from dataclasses import asdict

    from unidino import profiles

    given = {"controls": controls, "per": per, "channels": "+".join(_names(channels))}
    text = ",".join([normalize, *(f"{key}={value}" for key, value in given.items() if value)])
    done = profiles.profile(
        Lake.open(lake), model or [], normalize=text, level=level, statistics=statistics
    )
    if not any(p.is_new for p in done):
        say("nothing to do: the profiles are there")
    for line in [
        f"{p.model}, {p.dataset}: {count} {reason.replace('_', ' ')}"
        for p in done
        for reason, count in p.dropped.items()
    ]:
        say(line)
    emit(as_json, [asdict(p) for p in done], pl.DataFrame([
        {"model": p.model, "normalization": p.normalization, "level": p.level,
         "dataset": p.dataset, "profiles": p.num_profiles, "new": p.is_new}
        for p in done
    ]))  # fmt: skip


@app.command()
def score(
    lake: LakeOption = DEFAULT_LAKE,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="nsc, nscb, nscp, nspw, nsb, nss, or a .sql rule; repeatable."),
    ] = None,
    not_same: Annotated[
        str | None, typer.Option(help="A rule on the spot: compound,plate.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Default: every model.")] = None,
    label: Annotated[
        str | None, typer.Option(help="moa, compound, target ...; default by metric.")
    ] = None,
    level: Annotated[str, typer.Option(help="See `unidino profile`.")] = "well",
    normalize: Annotated[str, typer.Option(help="See `unidino profile`.")] = "mad_robustize",
    rules: Annotated[str, typer.Option(help="text (the paper's) or published.")] = "text",
    channels: Annotated[str | None, typer.Option(help="Only these: DNA,Actin.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition over profile.")] = None,
    unmatched: Annotated[
        str, typer.Option(help="Profiles without a neighbour: drop, or count as wrong.")
    ] = "drop",
    include_controls: Annotated[bool, typer.Option(help="Score negative controls too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Score profiles by nearest neighbours that may not share what the rule names."""
    names = [m.strip() for given in metric or [] for m in given.split(",")]
    if not_same:
        names.append("not same " + ", ".join(c.strip() for c in not_same.split(",")))
    if not names:
        raise InputError("say how to score: --metric NAME or --not-same COLUMNS")
    from unidino import score as module
    from unidino.report import score_table

    scores = module.score(
        Lake.open(lake), names, models=model or [], label=label, level=level, normalize=normalize,
        rules=rules, channels=_names(channels),
        where=where, unmatched=unmatched, include_controls=include_controls,
    )  # fmt: skip
    emit(as_json, [s.as_json() for s in scores], score_table(scores))
    for dropped in dict.fromkeys(
        f"{s.dataset}, {s.metric}: left out {count} profiles ({reason.replace('_', ' ')})"
        for s in scores
        for reason, count in s.dropped.items()
    ):
        say(dropped)


@app.command()
def attribute(
    model: Annotated[str, typer.Option(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    label: Annotated[str, typer.Option(help="moa, compound, target ...")] = "moa",
    level: Annotated[str, typer.Option(help="See `unidino profile`.")] = "well",
    normalize: Annotated[str, typer.Option(help="See `unidino profile`.")] = "mad_robustize",
    top: Annotated[int, typer.Option(help="Most important features to count.")] = 50,
    seed: Annotated[int, typer.Option()] = 0,
    where: Annotated[str | None, typer.Option(help="SQL condition over profile.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which channels tell the classes of a label apart."""
    from unidino import attribution

    found = attribution.attribute(
        Lake.open(lake), model, label=label, level=level, normalize=normalize, top=top, seed=seed,
        where=where,
    )  # fmt: skip
    wide = found.shares.pivot("channel", index=["dataset", "class", "num_profiles"], values="share")
    emit(as_json, found.shares.to_dicts(), wide)


@app.command()
def report(
    lake: LakeOption = DEFAULT_LAKE,
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("report.html"),
    model: Annotated[str | None, typer.Option(help="For the channels; default: the best.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one self-contained page about the lake."""
    from unidino import report as module

    path = module.report(Lake.open(lake), output, model=model)
    emit(as_json, {"report": str(path), "bytes": path.stat().st_size})


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement.")],
    lake: LakeOption = DEFAULT_LAKE,
    write: Annotated[bool, typer.Option("--write", help="Allow changes to the catalog.")] = False,
    format_: Annotated[
        str, typer.Option("--format", help="table, csv, json, parquet or arrow.")
    ] = "table",
    as_json: JsonOption = False,
) -> None:
    """Query the lake: plate, channel, well, field, image, model, embedding, profile, score ..."""
    choose("format", format_, ("table", "csv", "json", "parquet", "arrow"))
    opened = Lake.open(lake)
    if write:
        opened.execute(query)
        return
    rows = opened.query(query)
    match "json" if as_json else format_:
        case "table":
            show(rows)
        case "json":
            emit(True, rows.to_dicts())
        case "csv":
            print(_flat(rows).write_csv(), end="")
        case "parquet":
            rows.write_parquet(sys.stdout.buffer)
        case "arrow":
            rows.write_ipc_stream(sys.stdout.buffer)


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with lists as JSON text, which CSV can hold."""
    lists = [name for name, dtype in rows.schema.items() if dtype.is_nested()]
    texts: Sequence[pl.Series] = [
        pl.Series(
            name, [json.dumps(v.to_list() if isinstance(v, pl.Series) else v) for v in rows[name]]
        )
        for name in lists
    ]
    return rows.with_columns(texts)


@app.command()
def check(lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False) -> None:
    """Verify the catalog and the files against each other."""
    from unidino.check import check as run_check

    problems = run_check(Lake.open(lake))
    if problems:
        emit(as_json, [{"check": p.check, "problem": p.problem} for p in problems])
        raise UnidinoError(f"{len(problems)} problems in the lake")
    say("the lake is healthy")
