"""Commands that fill, query and check a lake: demo, ingest, sql, check."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from unidino.cli.output import (
    DEFAULT_LAKE,
    JsonOption,
    LakeOption,
    create_lake,
    emit,
    names,
    open_lake,
    show,
)
from unidino.core.choices import NgffVersion, TableFormat
from unidino.core.errors import InputError, UnidinoError
from unidino.core.log import log


def demo(
    folder: Annotated[Path, typer.Argument(help="New folder for all files of the demo.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(help="Seed of the simulation and the training.")] = 0,
) -> None:
    """Simulate two small screens and run every command on them."""
    from unidino.cli import app
    from unidino.cli.demo import demo as run_demo

    def run(words: list[str]) -> None:
        app(words, standalone_mode=False)

    show(run_demo(folder, run, seed=seed))


def ingest(
    path: Annotated[
        Path, typer.Argument(help="Folder of an export or published set, or a manifest file.")
    ],
    layout: Annotated[
        str,
        typer.Option(help="manifest, an instrument or published set (see README), or a .sql file."),
    ] = "manifest",
    lake: LakeOption = DEFAULT_LAKE,
    dataset: Annotated[
        str | None, typer.Option(help="Collection; default: the folder's name.")
    ] = None,
    metadata: Annotated[
        list[Path] | None,
        typer.Option(help="Table to join by shared columns, such as plate and well; repeatable."),
    ] = None,
    platemap: Annotated[Path | None, typer.Option(help="Table to join first.")] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="With --layout filename: regular expression with named groups."),
    ] = None,
    plate_names: Annotated[
        list[str] | None,
        typer.Option(help="New names of plates: OLD=NEW, or FOLDER=NEW; repeatable."),
    ] = None,
    channel_names: Annotated[
        str | None, typer.Option(help="Names of the channels, by channel index: DNA,Actin,Tubulin.")
    ] = None,
    channels: Annotated[str | None, typer.Option(help="Channels to keep: DNA,Actin.")] = None,
    drop_channels: Annotated[
        str | None, typer.Option(help="Channels to leave out; * stands for any text: Bright*.")
    ] = None,
    z: Annotated[
        str,
        typer.Option(help="Slices of a stack: max for their maximum, or the number of one slice."),
    ] = "max",
    timepoint: Annotated[int | None, typer.Option(help="Time point to ingest.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder where relative paths of images start.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Register OME-Zarr plates without copying them.")
    ] = False,
    metadata_only: Annotated[
        bool, typer.Option("--metadata-only", help="Register images without their files.")
    ] = False,
    allow_incomplete: Annotated[
        bool,
        typer.Option("--allow-incomplete", help="Ingest complete fields and list the others."),
    ] = False,
    absent_channels: Annotated[
        bool,
        typer.Option(
            "--absent-channels", help="Register channels that some fields lack as absent there."
        ),
    ] = False,
    illumination: Annotated[
        str | None,
        typer.Option(help="Folder of .npy functions that images are divided by, or estimate."),
    ] = None,
    ngff: Annotated[NgffVersion, typer.Option(help="Version of OME-Zarr.")] = "0.5",
    pyramid: Annotated[
        int, typer.Option(min=0, help="Levels to add, each half the size of the one before.")
    ] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Threads; default: one per core.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace plates whose content has changed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write images as OME-Zarr plates and register them."""
    from unidino.plates import ingest as module
    from unidino.plates.convert import Form
    from unidino.plates.manifest import Choice

    if not path.exists():
        raise InputError(f"no such file or folder: '{path}'")
    done = module.ingest(
        create_lake(lake),
        path,
        layout,
        dataset=dataset,
        metadata=metadata or [],
        platemap=platemap,
        pattern=pattern,
        images=images,
        choice=Choice(
            channel_names=names(channel_names),
            channels=names(channels),
            drop_channels=names(drop_channels),
            z=z,
            timepoint=timepoint,
            plate_names=plate_names or [],
        ),
        form=Form(ngff=ngff, pyramid=pyramid, illumination=illumination, in_place=in_place),
        allow_incomplete=allow_incomplete,
        absent_channels=absent_channels,
        metadata_only=metadata_only,
        jobs=jobs,
        overwrite=overwrite,
    )
    if done.skipped:
        log.info(f"{len(done.skipped)} plates are in the lake already")
    emit(
        as_json,
        {
            "plates": len(done.landed),
            "skipped": len(done.skipped),
            "wells": done.num_wells,
            "fields": done.num_fields,
            "images": done.num_images,
            "problems": len(done.problems),
        },
    )
    if done.problems:
        raise InputError(
            f"{len(done.problems)} rows or images could not be used; the rest landed (correct them"
            " and run again with --overwrite)",
            done.problems,
        )


def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement.")],
    lake: LakeOption = DEFAULT_LAKE,
    write: Annotated[bool, typer.Option("--write", help="Allow changes to the catalog.")] = False,
    format_: Annotated[TableFormat, typer.Option("--format", help="Format of the rows.")] = "table",
    as_json: JsonOption = False,
) -> None:
    """Query tables of the lake: plate, well, field, image, embedding, profile, score ..."""
    opened = open_lake(lake)
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
            from unidino.core.text import flat

            print(flat(rows).write_csv(), end="")
        case "parquet":
            rows.write_parquet(sys.stdout.buffer)
        case "arrow":
            rows.write_ipc_stream(sys.stdout.buffer)


def check(lake: LakeOption = DEFAULT_LAKE, as_json: JsonOption = False) -> None:
    """Check the catalog and the files of a lake."""
    from unidino.lake.check import check as run_check

    problems = run_check(open_lake(lake))
    if problems:
        emit(as_json, [{"check": p.check, "problem": p.problem} for p in problems])
        raise UnidinoError(f"{len(problems)} problems in the lake")
    log.info("the lake has no problems")
