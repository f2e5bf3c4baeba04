"""Commands that make profiles of embeddings, and score them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from unidino.cli.output import (
    DEFAULT_LAKE,
    JsonOption,
    LakeOption,
    create_lake,
    emit,
    names,
    open_lake,
)
from unidino.core.choices import ImportLevel, Label, LabelFilter, Level, Preset, Reading, Unmatched
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.reasons import reason_text

NORMALIZE_HELP = (
    "mad_robustize, standardize, spherize, tvn, tvn_efaar or none. Join steps by +, give options"
    " after commas: mad_robustize+spherize,controls=negcon,clip=10."
)
ModelsOption = Annotated[list[str] | None, typer.Option("--model", help="Default: every model.")]
DatasetsOption = Annotated[
    list[str] | None, typer.Option("--dataset", help="Default: every dataset.")
]
LevelOption = Annotated[Level, typer.Option("--level", help="What a profile is of.")]
NormalizeOption = Annotated[str, typer.Option("--normalize", help=NORMALIZE_HELP)]
ChannelsOption = Annotated[str | None, typer.Option("--channels", help="Only these: DNA,Actin.")]
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
        str | None, typer.Option(help="What is normalized apart: plate, batch or dataset.")
    ] = None,
    channels: ChannelsOption = None,
    statistics: Annotated[
        Path | None,
        typer.Option(help="Parquet file of the table statistic to apply instead of learning."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Aggregate embeddings to profiles and normalize them per plate."""
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
    done = make_profiles(open_lake(lake), selection)
    if not any(p.is_new for p in done):
        log.info("nothing to do: the profiles are current")
    for p in done:
        for reason, count in p.dropped.items():
            log.warning(f"{p.model}, {p.dataset}: {reason_text(reason, count)}")
    emit(as_json, [asdict(p) for p in done], done.frame)


def import_profiles(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet, Arrow or AnnData (.h5ad).")],
    model: Annotated[str, typer.Option(help="Name that the features get.")],
    lake: LakeOption = DEFAULT_LAKE,
    dataset: Annotated[
        str | None, typer.Option(help="Collection; default: the file's name.")
    ] = None,
    map_: Annotated[
        str | None,
        typer.Option("--map", help="plate=Metadata_Plate,batch=left(plate, 5): names or SQL."),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Regular expression of their names; default: all numbers.")
    ] = None,
    metadata: Annotated[
        list[Path] | None, typer.Option(help="Table joined by plate and well, or shared columns.")
    ] = None,
    level: Annotated[
        ImportLevel,
        typer.Option(help="treatment and compound are for tables without wells."),
    ] = "well",
    negcon: Annotated[
        str, typer.Option(help="Compound that is the negative control if no control_type says.")
    ] = "DMSO",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what the lake says of plates without images."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import features that others computed as the profiles of a model.

    Plates need not be in the lake.
    """
    from unidino.profiles import wide
    from unidino.profiles.importing import import_profiles as run_import

    done = run_import(
        create_lake(lake),
        file,
        model,
        dataset=dataset,
        features=features,
        level=level,
        mapped=wide.parse_map(map_) if map_ else {},
        metadata=metadata or [],
        negcon=negcon,
        overwrite=overwrite,
    )
    for reason, count in done.dropped.items():
        log.warning(f"left out {count} rows ({reason.replace('_', ' ')})")
    if done.num_missing:
        log.warning(
            f"{done.num_missing} values are missing or infinite; --normalize ...,select=na drops"
            " features that lack more than 5 %"
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
    }
    emit(as_json, asdict(done) if as_json else shown)


def export(
    file: Annotated[Path, typer.Argument(help=".parquet, .csv, .csv.gz, .arrow or .h5ad.")],
    model: Annotated[str, typer.Option(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    normalize: NormalizeOption = "mad_robustize",
    level: LevelOption = "well",
    dataset: DatasetsOption = None,
    channels: ChannelsOption = None,
    where: WhereOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write profiles as one wide table: Metadata_ columns and features, or AnnData."""
    from unidino.profiles.export import export_profiles
    from unidino.profiles.selection import Selection

    selection = Selection([model], dataset or (), level, normalize, names(channels), where)
    emit(as_json, asdict(export_profiles(open_lake(lake), file, selection)))


def score(
    lake: LakeOption = DEFAULT_LAKE,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="nsc, nscb, nscp, nspw, nsb, nss, or a .sql rule; repeatable."),
    ] = None,
    not_same: Annotated[
        str | None, typer.Option(help="A rule on the spot: compound,plate.")
    ] = None,
    preset: Annotated[Preset | None, typer.Option(help="A table of the paper.")] = None,
    measure: Annotated[
        Literal["accuracy", "map", "replicates"],
        typer.Option(
            help="map is mean average precision, replicates the correlation of replicates."
        ),
    ] = "accuracy",
    model: ModelsOption = None,
    dataset: DatasetsOption = None,
    label: Annotated[Label | None, typer.Option(help="Default: by the metric.")] = None,
    level: LevelOption = "well",
    normalize: Annotated[
        str | None, typer.Option(help="See `unidino profile`; default: mad_robustize.")
    ] = None,
    reading: Annotated[
        Reading | None,
        typer.Option(help="text, the paper's (default), or published, its program's (--preset)."),
    ] = None,
    rules: Annotated[Reading | None, typer.Option(hidden=True)] = None,
    channels: ChannelsOption = None,
    where: WhereOption = None,
    unmatched: Annotated[
        Unmatched, typer.Option(help="Profiles without a neighbour: drop them, or count as wrong.")
    ] = "drop",
    label_filter: Annotated[
        LabelFilter,
        typer.Option(
            help="Labels that are left out: reachable, those that no neighbour can match; decoys,"
            " the same, but they stay as neighbours of others; rows, those of one profile."
        ),
    ] = "reachable",
    neighbours: Annotated[int, typer.Option(min=1, help="How many vote.")] = 1,
    include_controls: Annotated[bool, typer.Option(help="Score negative controls too.")] = False,
    seed: Annotated[int, typer.Option(help="Of random rankings (map, replicates).")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ...")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Score profiles by nearest neighbours that may not share what the rule names."""
    rules_of = [name for given in metric or [] for name in names(given)]
    if not_same:
        rules_of.append("not same " + ", ".join(names(not_same)))
    reading = reading or rules
    if preset:
        if rules_of:
            raise InputError("--preset brings its own metrics; leave out --metric and --not-same")
        if len(dataset or []) > 1:
            raise InputError("--preset is about one dataset; give one --dataset")
        from unidino.scores.paper import score_preset

        scores: Sequence[Any] = score_preset(
            open_lake(lake),
            preset,
            models=model or [],
            dataset=dataset[0] if dataset else None,
            normalize=normalize,
            reading=reading or "published",
            device=device,
        )
        _show(scores, as_json)
        return
    if not rules_of:
        raise InputError("say how to score: --metric NAME, --not-same COLUMNS or --preset NAME")
    from unidino.profiles.selection import Selection
    from unidino.scores.question import Question

    at = open_lake(lake)
    asked = [
        Question(
            rule,
            reading or "text",
            label or "",
            label_filter,
            unmatched,
            include_controls,
            neighbours,
        )
        for rule in rules_of
    ]
    selection = Selection(
        model or (), dataset or (), level, normalize or "mad_robustize", names(channels), where
    )
    if measure == "accuracy":
        from unidino.scores.accuracy import score as run_score

        _show(run_score(at, asked, selection, device=device), as_json)
    else:
        from unidino.scores.labels import score_labels

        _show(score_labels(at, measure, asked, selection, seed=seed), as_json)


def _show(scores: Any, as_json: bool) -> None:
    """Print scores, and say once what was left out of them."""
    emit(as_json, [s.as_json() for s in scores], scores.frame)
    for line in dict.fromkeys(
        f"{s.dataset}, {s.metric}: {reason_text(reason, count)}"
        for s in scores
        for reason, count in s.dropped.items()
    ):
        log.warning(line)
