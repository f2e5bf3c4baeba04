"""Commands that bring plates into a lake: ingest, count-cells."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from unidino.cli.output import (
    DEFAULT_LAKE,
    JsonOption,
    LakeOption,
    UnitOption,
    emit,
    lake_to_fill,
    names,
    open_lake,
)
from unidino.core.choices import MAX_JOBS, NgffVersion
from unidino.core.errors import InputError
from unidino.core.limits import MAX_PIXELS
from unidino.core.log import log


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
    acquisition: Annotated[
        int | None, typer.Option(help="Acquisition to ingest of an OME plate that has several.")
    ] = None,
    image_name: Annotated[
        str | None,
        typer.Option(
            help="Images of the wells of an OME-Zarr plate: *_illum_corr; default: plain numbers."
        ),
    ] = None,
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
    negcon: Annotated[
        str,
        typer.Option(
            help="Compound that is the negative control, where no control_type is stated."
        ),
    ] = "DMSO",
    unit: UnitOption = None,
    illumination: Annotated[
        str | None,
        typer.Option(
            help="Folder of .npy functions that images are divided by, estimate, or harmony (those"
            " of its index)."
        ),
    ] = None,
    convert: Annotated[
        str | None,
        typer.Option(
            help="Rules for images that are no plane of uint8 or uint16, joined by commas. Numbers:"
            " exact keeps whole ones from 0 to 65535, linear:LOW:HIGH scales LOW to 0 and HIGH to"
            " 65535. Colours: luminance, red, green, blue, or index of a palette. JPEG: lossy."
        ),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Pixels that a plane may have; larger ones are refused.")
    ] = MAX_PIXELS,
    ngff: Annotated[NgffVersion, typer.Option(help="Version of OME-Zarr.")] = "0.5",
    pyramid: Annotated[
        int,
        typer.Option(min=0, max=30, help="Levels to add, each half the size of the one before."),
    ] = 0,
    count_cells: Annotated[
        str | None,
        typer.Option(help="Channel whose nuclei are counted: num_cells of fields and wells."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=MAX_JOBS, help="Threads; default: one per core.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Workers ingest: a dask scheduler's file, or its address, tcp://..."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace plates whose content has changed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what was understood; nothing lands.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write images as OME-Zarr plates and register them."""
    from unidino.plates import ingest as module
    from unidino.plates.convert import Form
    from unidino.plates.manifest import Choice

    if not path.exists():
        raise InputError(f"no such file or folder: '{path}'")
    with lake_to_fill(lake, dry_run=dry_run) as opened:
        run = module.ingest
        if scheduler and not dry_run:
            from unidino.plates.on_cluster import ingest_on_cluster

            run = partial(ingest_on_cluster, scheduler=scheduler)
        done = run(
            opened,
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
                acquisition=acquisition,
                image_name=image_name,
            ),
            form=Form(
                ngff=ngff,
                pyramid=pyramid,
                illumination=illumination,
                in_place=in_place,
                convert=convert,
                max_pixels=max_pixels,
            ),
            negcon=negcon,
            unit=unit,
            dry_run=dry_run,
            allow_incomplete=allow_incomplete,
            absent_channels=absent_channels,
            metadata_only=metadata_only,
            jobs=jobs,
            overwrite=overwrite,
        )
        if count_cells and not dry_run and not metadata_only and done.landed:
            from unidino.embeddings.counted import count_cells as count

            counted = count(opened, count_cells, plates=done.landed, jobs=jobs)
            log.info(
                f"{counted.num_cells} cells in {counted.num_images} images of {count_cells},"
                f" counted in {counted.seconds} s"
            )
    if done.skipped:
        log.info(f"{len(done.skipped)} plates are in the lake already")
    if as_json or not dry_run:
        account = {"account": done.account} if as_json else {}
        emit(as_json, done.frame.to_dicts()[0] | account)
    if done.problems:
        raise InputError(
            f"{len(done.problems)} rows or images could not be used; the rest landed (correct them"
            " and run again with --overwrite)",
            done.problems,
        )


def count_cells(
    lake: LakeOption = DEFAULT_LAKE,
    channel: Annotated[
        str | None, typer.Option(help="Channel that shows nuclei; default: by its name.")
    ] = None,
    plate: Annotated[
        list[str] | None, typer.Option(help="Plate; repeatable; default: all with images.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_JOBS, help="Processes; default, and most: one a core."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Count again, and replace counts of tables.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Count the cells of fields and wells by the nuclei in their images (num_cells)."""
    from unidino.embeddings.counted import count_cells as run_count

    done = run_count(
        open_lake(lake, writes=True),
        channel,
        plates=plate or [],
        jobs=jobs,
        overwrite=overwrite,
    )
    shown = {
        "plates": len(done.plates),
        "skipped": len(done.skipped),
        "images": done.num_images,
        "cells": done.num_cells,
        "images_per_s": round(done.num_images / done.seconds, 1) if done.seconds else None,
    }
    emit(as_json, asdict(done) if as_json else shown)
