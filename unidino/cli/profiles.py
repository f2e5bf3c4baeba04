"""Commands that compute, import and export profiles."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from unidino.cli.output import (
    DEFAULT_LAKE,
    JsonOption,
    LakeOption,
    UnitOption,
    check_output,
    emit,
    lake_to_fill,
    names,
    open_lake,
)
from unidino.core.choices import (
    Aggregation,
    ImportLevel,
    Level,
)
from unidino.core.log import log
from unidino.core.reasons import reason_text

NORMALIZE_HELP = (
    "mad_robustize, standardize, inverse_normal, spherize, whiten, tvn, tvn_efaar, harmony or none;"
    " steps are joined by +,"
    " options follow after commas: mad_robustize+spherize,controls=negcon,clip=10."
)
ModelsOption = Annotated[
    list[str] | None, typer.Option("--model", help="Repeatable; default: every model.")
]
DatasetsOption = Annotated[
    list[str] | None, typer.Option("--dataset", help="Repeatable; default: every dataset.")
]
LevelOption = Annotated[
    Level, typer.Option("--level", help="Level that embeddings are averaged to.")
]
NormalizeOption = Annotated[str, typer.Option("--normalize", help=NORMALIZE_HELP)]
ChannelsOption = Annotated[
    str | None, typer.Option("--channels", help="Channels to use: DNA,Actin; default: all.")
]
WhereOption = Annotated[
    str | None, typer.Option("--where", help="SQL condition over the columns of profile.")
]


def profile(
    lake: LakeOption = DEFAULT_LAKE,
    model: ModelsOption = None,
    dataset: DatasetsOption = None,
    normalize: NormalizeOption = "mad_robustize",
    level: LevelOption = "well",
    controls: Annotated[
        str | None, typer.Option(help="Wells to learn from: all, or a control_type.")
    ] = None,
    per: Annotated[
        str | None,
        typer.Option(help="Unit that is normalized separately: plate, batch or dataset."),
    ] = None,
    channels: ChannelsOption = None,
    statistics: Annotated[
        Path | None,
        typer.Option(help="Parquet file of learnt statistics, which are applied."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Aggregate embeddings to profiles and normalize these."""
    from unidino.profiles.profile import profile as make_profiles
    from unidino.profiles.selection import Selection

    given = {
        "controls": controls,
        "per": per,
        "channels": "+".join(names(channels)),
        "statistics": statistics,
    }
    text = ",".join([normalize, *(f"{key}={value}" for key, value in given.items() if value)])
    selection = Selection(model or (), dataset or (), level, text)
    done = make_profiles(open_lake(lake, writes=True), selection)
    if not any(p.is_new for p in done):
        log.info("nothing to do: all profiles are current")
    for p in done:
        for reason, count in p.dropped.items():
            log.warning(f"{p.model}, {p.dataset}: {reason_text(reason, count)}")
    emit(as_json, [asdict(p) for p in done], done.frame)


def import_profiles(
    file: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, TSV, Parquet, Arrow or AnnData (.h5ad, .zarr); with --objects one or several"
            " of CSV, Parquet or CellProfiler's SQLite, or a folder of its CSV files."
        ),
    ],
    model: Annotated[str, typer.Option(help="Name of the model that gets the features.")],
    lake: LakeOption = DEFAULT_LAKE,
    dataset: Annotated[
        str | None, typer.Option(help="Collection; default: the file's name.")
    ] = None,
    map_: Annotated[
        str | None,
        typer.Option(
            "--map", help="Columns by name or SQL: plate=Metadata_Plate,batch=left(plate, 5)."
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="Regular expression for names of features; default: all numbers but those that"
            " count or place the rows."
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Matrix of an AnnData file: X, the name of a layer, raw, obsm:NAME."),
    ] = None,
    metadata: Annotated[
        list[Path] | None,
        typer.Option(help="Table to join by plate and well, or shared columns; repeatable."),
    ] = None,
    level: Annotated[
        ImportLevel,
        typer.Option(help="Level of the rows; treatment and compound: for tables without wells."),
    ] = "well",
    negcon: Annotated[
        str,
        typer.Option(
            help="Compound that is the negative control, where no control_type is stated."
        ),
    ] = "DMSO",
    unit: UnitOption = None,
    objects: Annotated[
        bool,
        typer.Option("--objects", help="The tables have a row a cell; they are aggregated."),
    ] = False,
    aggregate: Annotated[
        Aggregation, typer.Option(help="With --objects: what a well is of its cells.")
    ] = "median",
    keep_cells: Annotated[
        bool,
        typer.Option("--keep-cells", help="With --objects: keep single cells as the table cell."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what was understood; nothing lands.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace wells of plates that have no images."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import features of other programs as profiles of a model.

    The plates may be new to the lake.
    """
    from unidino.profiles import wide
    from unidino.profiles.importing import import_profiles as run_import

    with lake_to_fill(lake, dry_run=dry_run) as opened:
        done = run_import(
            opened,
            file,
            model,
            dataset=dataset,
            features=features,
            layer=layer,
            level=level,
            mapped=wide.parse_map(map_) if map_ else {},
            metadata=metadata or [],
            negcon=negcon,
            unit=unit,
            objects=objects,
            aggregate=aggregate,
            keep_cells=keep_cells,
            dry_run=dry_run,
            overwrite=overwrite,
        )
    for reason, count in done.dropped.items():
        log.warning(f"left out {count} rows ({reason.replace('_', ' ')})")
    if done.num_missing:
        log.warning(
            f"{done.num_missing} values are missing or infinite; --normalize ...,select=na drops"
            " features with more than 5 % missing values"
        )
    shown = {
        "model": model,
        "dataset": done.dataset,
        "level": level,
        "rows": done.num_rows,
        "features": done.num_features,
        "plates": done.num_plates,
        "new_plates": done.num_new_plates,
        "missing": done.num_missing,
    } | ({} if done.num_cells is None else {"cells": done.num_cells})
    if as_json or not dry_run:
        emit(as_json, asdict(done) if as_json else shown)


def export(
    file: Annotated[
        Path,
        typer.Argument(
            help=".parquet, .csv, .csv.gz, .arrow or .h5ad. Texts that a spreadsheet would compute"
            " get an apostrophe before them in CSV."
        ),
    ],
    model: Annotated[str, typer.Option(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    normalize: NormalizeOption = "mad_robustize",
    level: LevelOption = "well",
    dataset: DatasetsOption = None,
    channels: ChannelsOption = None,
    where: WhereOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write profiles as a wide table of Metadata_ columns and features, or as AnnData."""
    check_output(file)
    from unidino.profiles.export import export_profiles
    from unidino.profiles.selection import Selection

    selection = Selection([model], dataset or (), level, normalize, names(channels), where)
    emit(as_json, asdict(export_profiles(open_lake(lake), file, selection)))
