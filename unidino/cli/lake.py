"""Commands that fill, query and check a lake: demo, ingest, sql, check."""

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from unidino.cli.output import (
    DEFAULT_LAKE,
    JsonOption,
    LakeOption,
    UnitOption,
    emit,
    lake_to_fill,
    names,
    open_lake,
    print_rows,
    show,
)
from unidino.core.choices import MAX_JOBS, MAX_SEED, NgffVersion, TableFormat
from unidino.core.errors import InputError, UnidinoError
from unidino.core.limits import MAX_PIXELS
from unidino.core.log import log


def demo(
    folder: Annotated[Path, typer.Argument(help="New folder for all files of the demo.")] = Path(
        "demo"
    ),
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of the simulation and the training.")
    ] = 0,
    tutorial: Annotated[
        bool, typer.Option("--tutorial", help="Only make the plates of the tutorial.")
    ] = False,
    lake: Annotated[
        Path | None,
        typer.Option(help="Folder or address of an empty lake; default: in the folder."),
    ] = None,
) -> None:
    """Simulate two small screens and run every command on them."""
    from unidino.cli import app
    from unidino.cli.demo import demo as run_demo
    from unidino.cli.demo import write_tutorial

    if tutorial:
        num = write_tutorial(folder, seed=seed)
        log.info(f"{num} images of 4 plates are in {folder}, with platemap.csv and plates.csv")
        return

    def run(words: list[str]) -> None:
        app(words, standalone_mode=False)

    show(run_demo(folder, run, seed=seed, lake=lake))


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


class QueryCommand(TyperCommand):
    """A command whose argument may begin with `--`, as SQL does that begins with a comment."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {name for parameter in self.params for name in parameter.opts}
        return super().parse_args(ctx, [f"\n{a}" if _is_comment(a, options) else a for a in args])


def _is_comment(argument: str, options: set[str]) -> bool:
    name = argument.partition("=")[0]
    has_blank = "\n" in argument or any(c.isspace() for c in name)
    return argument.startswith("--") and name not in options and has_blank


def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SQL statement, or - for standard input.")
    ] = None,
    lake: LakeOption = DEFAULT_LAKE,
    file: Annotated[Path | None, typer.Option(help="Read the statement from a file.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Allow changes to the catalog.")] = False,
    format_: Annotated[
        TableFormat | None,
        typer.Option(
            "--format",
            help="Format of the rows, default table; json is one document, jsonl one object a line."
            " Lists are JSON in csv, and texts that a spreadsheet would compute (=1+1) get an"
            " apostrophe before them; NaN and infinity are null in JSON; types that a format lacks,"
            " such as intervals, are text.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Query tables of the lake: plate, well, field, image, embedding, profile, score ..."""
    text = _statement(query, file)
    if as_json and format_ not in (None, "json", "jsonl"):
        raise InputError(f"--json and --format {format_} contradict each other; give one of them")
    rows_as: TableFormat = format_ or ("jsonl" if as_json else "table")
    opened = open_lake(lake, writes=write)
    if not write or opened.only_reads(text):
        with opened.answer(text) as answer:
            print_rows(answer, rows_as)
        return
    with opened.executed(text) as done:
        if isinstance(done, int):
            log.info(f"{done} rows changed")
        elif done is not None:
            print_rows(done, rows_as)


def tables(
    table: Annotated[
        str | None, typer.Argument(help="Table whose columns are listed; default: all tables.")
    ] = None,
    lake: LakeOption = DEFAULT_LAKE,
    as_json: JsonOption = False,
) -> None:
    """List the tables that SQL reads; with a name, its columns and what they mean."""
    from unidino.core.errors import choose
    from unidino.lake.described import columns_of, tables_of

    opened = open_lake(lake)
    known = tables_of(opened)
    if table is None:
        rows = known
    else:
        choose("table", table, known["table"].to_list())
        rows = columns_of(opened, table)
    emit(as_json, rows.to_dicts(), rows)


def _statement(query: str | None, file: Path | None) -> str:
    """The text of the statement, from the command line, a file or standard input."""
    if (query is None) == (file is None):
        raise InputError("give one statement, --file FILE, or - for standard input")
    try:
        if file is not None:
            return file.read_text(encoding="utf-8-sig")
        assert query is not None
        return sys.stdin.buffer.read().decode("utf-8-sig") if query == "-" else query
    except FileNotFoundError as error:
        raise InputError(f"no such file: '{file}'") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {file or 'standard input'} as UTF-8 text: {error}"
        ) from error


def check(
    lake: LakeOption = DEFAULT_LAKE,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file, and compare its hash.")
    ] = False,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="Read every plane too, and compare its mean.")
    ] = False,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="First make a lost or damaged catalog, and what is kept beside it, anew.",
        ),
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="First remove what a command that was killed left.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the catalog and the files of a lake; each problem names the command that mends it."""
    from unidino.lake import leftovers
    from unidino.lake.check import check as run_check
    from unidino.lake.mending import Mender

    if rebuild:
        from unidino.models.model_files import rebuild as run_rebuild

        for line in run_rebuild(lake):
            log.info(line)
    opened = open_lake(lake, writes=clean)
    if clean:
        for item in leftovers.clean(opened):
            log.info(f"removed {item.uri}: {item.what}")
    problems = run_check(opened, deep=deep, pixels=pixels)
    rows = [asdict(problem) for problem in problems]
    remove = Mender(opened).of_leftover()
    for item in leftovers.leftovers(opened):
        mend = remove if item.is_ours else "move it elsewhere, if nobody needs it"
        rows.append({"check": "leftover", "problem": f"{item.uri}: {item.what}", "mend": mend})
    if rows:
        emit(as_json, rows)
    if problems:
        raise UnidinoError(f"{len(problems)} problems in the lake")
    log.info(f"the lake has no problems{', but leftovers' if rows else ''}")
