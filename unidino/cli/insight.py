"""Commands that explain and show profiles: attribute, readouts, plot, report, explore."""

from pathlib import Path
from typing import Annotated

import typer

from unidino.cli.output import (
    DEFAULT_LAKE,
    JsonOption,
    LakeOption,
    UnitOption,
    check_output,
    create_lake,
    emit,
    names,
    one_of,
    open_lake,
)
from unidino.cli.profiles import (
    ChannelsOption,
    DatasetsOption,
    LevelOption,
    ModelsOption,
    NormalizeOption,
    WhereOption,
)
from unidino.core.choices import (
    MAX_JOBS,
    MAX_SEED,
    Effect,
    FigureKind,
    Label,
    Level,
    ProjectionMethod,
    Regressor,
)
from unidino.core.log import log


def attribute(
    model: Annotated[str, typer.Option(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    label: Annotated[Label, typer.Option(help="Label whose values are the classes.")] = "moa",
    level: LevelOption = "well",
    normalize: NormalizeOption = "mad_robustize",
    top: Annotated[
        int, typer.Option(min=1, help="Number of the most important features to count.")
    ] = 50,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Forests per class; shares are means over them.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the first forest.")] = 0,
    scores: Annotated[
        str | None,
        typer.Option(help="Also score each channel alone and left out: auto, or nsc,nscb."),
    ] = None,
    include_controls: Annotated[
        bool, typer.Option(help="Negative controls are a class too.")
    ] = False,
    where: WhereOption = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_JOBS, help="Processes; default, and most: one a core."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute which channels distinguish each class from all others."""
    opened = open_lake(lake, writes=True)
    from unidino.insight import attribution
    from unidino.profiles.selection import Selection
    from unidino.scores.channels import score_channels

    selection = Selection(models=[model], level=level, normalize=normalize, where=where)
    scored = (
        score_channels(
            opened,
            selection,
            () if scores == "auto" else names(scores),
            label=label,
            include_controls=include_controls,
        )
        if scores
        else None
    )
    found = attribution.attribute(
        opened,
        selection,
        label=label,
        top=top,
        num_seeds=seeds,
        seed=seed,
        include_controls=include_controls,
        jobs=jobs,
    )
    emit(as_json, found.frame.to_dicts(), attribution.by_channel(found))
    if scored:
        emit(as_json, [s.as_json() for s in scored], scored.frame)


def dose(
    lake: LakeOption = DEFAULT_LAKE,
    model: ModelsOption = None,
    dataset: DatasetsOption = None,
    level: LevelOption = "well",
    normalize: NormalizeOption = "mad_robustize",
    effect: Annotated[
        Effect,
        typer.Option(
            help="What is measured of a well against the negative controls: along the axis to the"
            " other wells of its compound, distance, or projection on the axis to --positive."
        ),
    ] = "axis",
    positive: Annotated[
        str | None,
        typer.Option(help="Compound of the positive control; default: control_type poscon."),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(help="A feature instead of channels, or a pattern of names; repeatable."),
    ] = None,
    compound: Annotated[
        list[str] | None, typer.Option(help="Repeatable; default: every compound.")
    ] = None,
    channels: ChannelsOption = None,
    where: WhereOption = None,
    bootstraps: Annotated[
        int, typer.Option(help="Resampled responses of each interval, at least 100.")
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the intervals.")] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_JOBS, help="Processes; default, and most: one a core."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit dose response curves: EC50 and lowest active dose of each compound and channel."""
    opened = open_lake(lake, writes=True)
    from unidino.insight.dose import dose as fit_doses
    from unidino.profiles.selection import Selection

    selection = Selection(
        model or (), dataset or (), level, normalize, names(channels), where, compound
    )
    found = fit_doses(
        opened,
        selection,
        effect=effect,
        positive=positive,
        features=feature or (),
        num_bootstraps=bootstraps,
        seed=seed,
        jobs=jobs,
    )
    emit(as_json, [c.as_json() for c in found], found.frame)


def readouts(
    table: Annotated[
        Path, typer.Option(help="CSV, TSV or Parquet with columns of keys and of readouts.")
    ],
    lake: LakeOption = DEFAULT_LAKE,
    by: Annotated[
        str | None,
        typer.Option(
            help="Profiles with equal values in these columns are averaged; default:"
            " cell_line,perturbation, or the columns that table and profiles share."
        ),
    ] = None,
    stratum: Annotated[
        str | None,
        typer.Option(help="Column with separate fits for its values: cell_line; or none."),
    ] = None,
    readouts: Annotated[
        str | None, typer.Option("--readouts", help="Regular expression for names of readouts.")
    ] = None,
    mapped: Annotated[
        str | None, typer.Option("--map", help="Columns by name: perturbation=Metadata_pert_name.")
    ] = None,
    model: ModelsOption = None,
    normalize: NormalizeOption = "mad_robustize",
    level: Annotated[Level, typer.Option(help="Level of the profiles to average.")] = "well",
    regressor: Annotated[
        Regressor, typer.Option(help="Model that predicts a readout.")
    ] = "random_forest",
    folds: Annotated[
        int, typer.Option(min=2, max=10_000, help="Folds of the cross-validation.")
    ] = 5,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of the folds and forests.")
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_JOBS, help="Processes; default, and most: one a core."),
    ] = None,
    where: WhereOption = None,
    unit: UnitOption = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File for R2 of every readout, .csv or .parquet."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict measured readouts from profiles.

    The published readouts of Cell Health, cell_health_median.tsv.gz, need no --map; the published
    features beside them are scored too.
    """
    from unidino.insight.cell_health import features_beside

    is_whole = not model and features_beside(table) is not None
    opened = create_lake(lake) if is_whole and not lake.exists() else open_lake(lake, writes=True)
    if output:
        check_output(output)
    from unidino.insight import readout_scores
    from unidino.insight.readouts import predict_readouts
    from unidino.profiles import wide
    from unidino.profiles.selection import Selection

    if output:
        readout_scores.check_suffix(output)
    scores = predict_readouts(
        opened,
        table,
        Selection(models=model or (), level=level, normalize=normalize, where=where),
        by=names(by),
        stratum=stratum,
        pattern=readouts,
        mapped=wide.parse_map(mapped) if mapped else None,
        regressor=regressor,
        num_folds=folds,
        seed=seed,
        jobs=jobs,
        unit=unit,
    )
    if output:
        readout_scores.write_table(scores, output)
    emit(as_json, [s.as_json() for s in scores], scores.frame)
    for s in scores:
        for reason, count in s.dropped.items():
            place = f"{s.dataset} {s.stratum}".strip()
            log.warning(f"{place}: left out {count} ({reason.replace('_', ' ')})")


def quality(
    lake: LakeOption = DEFAULT_LAKE,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Repeatable; default: every model but random ones and cell_count."),
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Repeatable; default: all.")] = None,
    plate: Annotated[list[str] | None, typer.Option(help="Repeatable; default: all.")] = None,
    normalize: NormalizeOption = "mad_robustize",
    few_cells: Annotated[
        float,
        typer.Option(help="Share of the negative controls' median below which cells are few."),
    ] = 0.25,
    flagged: Annotated[
        bool, typer.Option("--flagged", help="Show the plates, wells and images that are flagged.")
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of permutations and random pairs.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Tell how good each plate is: controls, replicates, positions, outliers, cells, images."""
    from unidino.insight.quality import quality as run_quality
    from unidino.profiles.selection import Selection

    found = run_quality(
        open_lake(lake),
        Selection(model or (), dataset or (), normalize=normalize),
        plates=plate or (),
        few_cells=few_cells,
        seed=seed,
    )
    rows = found.flagged if flagged else found.rows
    table = rows if flagged else found.for_people()
    emit(as_json, rows.to_dicts(), table)


def plot(
    kind: Annotated[FigureKind, typer.Argument(help="The figure to draw.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="FILE.png, .svg or .pdf.")],
    lake: LakeOption = DEFAULT_LAKE,
    model: Annotated[
        list[str] | None, typer.Option(help="Repeatable; default: the best-scored, or all.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Repeatable; default: all.")] = None,
    level: Annotated[
        Level | None, typer.Option(help="Level that embeddings are averaged to.")
    ] = None,
    normalize: Annotated[str | None, typer.Option(help="See `unidino profile`.")] = None,
    colour: Annotated[
        str | None, typer.Option(help="map: a column of profile that colours the points.")
    ] = None,
    color: Annotated[str | None, typer.Option(hidden=True)] = None,
    compound: Annotated[
        list[str] | None, typer.Option(help="dose: compounds to draw; repeatable.")
    ] = None,
    method: Annotated[
        ProjectionMethod | None, typer.Option(help="map: how points are projected.")
    ] = None,
    plate: Annotated[
        list[str] | None, typer.Option(help="plate, quality: plates to draw; repeatable.")
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(help="plate: SQL over well, image and profile, such as avg(focus)."),
    ] = None,
    label: Annotated[Label | None, typer.Option(help="Label whose values are shown.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="scores: metrics to show, such as nsc,nscb.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition over profile.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_SEED, help="Seed of the projection, or of the random pairs."),
    ] = None,
    width_mm: Annotated[float, typer.Option(help="Width of the figure.")] = 180.0,
    dpi: Annotated[
        int, typer.Option(help="Resolution of a PNG, and of pixels in other files.")
    ] = 300,
    as_json: JsonOption = False,
) -> None:
    """Draw a figure from the data of the lake."""
    check_output(output)
    from unidino.figures import kinds
    from unidino.profiles.selection import Selection

    is_chosen = model or dataset or level or normalize or where or compound
    selection = Selection(
        model or (),
        dataset or (),
        level or kinds.usual_level(kind),
        normalize or "mad_robustize",
        where=where,
        compounds=compound,
    )
    kinds.plot(
        open_lake(lake),
        kind,
        selection if is_chosen else None,
        output=output,
        asked=names(metric),
        label=label,
        colour=one_of("--colour", colour, "--color", color),
        method=method,
        plates=plate or (),
        value=value,
        seed=seed,
        width_mm=width_mm,
        dpi=dpi,
    )
    emit(as_json, {"plot": str(output), "bytes": output.stat().st_size})


def report(
    lake: LakeOption = DEFAULT_LAKE,
    output: Annotated[Path, typer.Option("-o", "--output", help="File of the page.")] = Path(
        "report.html"
    ),
    model: Annotated[
        str | None, typer.Option(help="Model of the figures; default: the best-scored.")
    ] = None,
    label: Annotated[
        Label | None,
        typer.Option(help="Label that colours show; default: the first that the wells have."),
    ] = None,
    normalize: Annotated[
        str | None,
        typer.Option(help="Normalization of the figures; default: mad_robustize, if there is one."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a report of the lake as one self-contained page."""
    check_output(output)
    from unidino.reports import report as module

    path = module.report(open_lake(lake), output, model=model, label=label, normalize=normalize)
    emit(as_json, {"report": str(path), "bytes": path.stat().st_size})


def explore(
    lake: LakeOption = DEFAULT_LAKE,
    model: Annotated[
        str | None, typer.Option(help="Model to show first; default: one with profiles.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of 127.0.0.1; 0 takes a free one.")
    ] = 8050,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Serve a page over the lake on this machine; Ctrl C stops it."""
    import webbrowser

    from unidino.explorer import explore as module

    server = module.explore(open_lake(lake), model=model, port=port)
    emit(as_json, {"url": server.url, "lake": str(lake)})
    if browser:
        webbrowser.open(server.url_for_one_visit())
    server.run()
