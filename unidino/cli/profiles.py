"""Commands that make profiles of embeddings, and score them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from unidino.cli.output import DEFAULT_LAKE, JsonOption, LakeOption, emit, names
from unidino.core.errors import InputError, choose
from unidino.core.log import log
from unidino.core.reasons import reason_text
from unidino.lake.lake import Lake

NORMALIZE_HELP = (
    "mad_robustize, standardize, spherize, tvn, tvn_efaar, none; steps joined by +, options after"
    " commas: mad_robustize+spherize,controls=negcon,clip=10."
)
LEVEL_HELP = "field, well, treatment, compound, plate, batch or source."


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

    from unidino.profiles import profile

    given = {"controls": controls, "per": per, "channels": "+".join(names(channels))}
    text = ",".join([normalize, *(f"{key}={value}" for key, value in given.items() if value)])
    done = profile.profile(
        Lake.open(lake), model or [], normalize=text, level=level, statistics=statistics
    )
    if not any(p.is_new for p in done):
        log.info("nothing to do: the profiles are there")
    for line in [
        f"{p.model}, {p.dataset}: {reason_text(reason, count)}"
        for p in done
        for reason, count in p.dropped.items()
    ]:
        log.warning(line)
    emit(
        as_json,
        [asdict(p) for p in done],
        pl.DataFrame(
            [
                {
                    "model": p.model,
                    "normalization": p.normalization,
                    "level": p.level,
                    "dataset": p.dataset,
                    "profiles": p.num_profiles,
                    "new": p.is_new,
                }
                for p in done
            ]
        ),
    )


def import_profiles(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet, Arrow or AnnData (.h5ad).")],
    model: Annotated[str, typer.Option(help="Name that the features get.")],
    lake: LakeOption = DEFAULT_LAKE,
    dataset: Annotated[str | None, typer.Option(help="Collection; default: the file.")] = None,
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
        str, typer.Option(help="well or field; treatment or compound for a table without wells.")
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
    """Take anybody's features as the profiles of a model; plates need not be in the lake."""
    from dataclasses import asdict

    from unidino.profiles import importing as module
    from unidino.profiles import wide

    done = module.import_profiles(
        Lake.create(lake),
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
    emit(
        as_json,
        {
            "model": model,
            "dataset": done.dataset,
            "level": level,
            "rows": done.num_rows,
            "features": done.num_features,
            "plates": done.num_plates,
            "new_plates": done.num_new_plates,
            "missing": done.num_missing,
        }
        if not as_json
        else asdict(done),
    )


def export(
    file: Annotated[Path, typer.Argument(help=".parquet, .csv, .csv.gz, .arrow or .h5ad.")],
    model: Annotated[str, typer.Option(help="Name of the model.")],
    lake: LakeOption = DEFAULT_LAKE,
    normalize: Annotated[str, typer.Option(help="See `unidino profile`.")] = "mad_robustize",
    level: Annotated[str, typer.Option(help="See `unidino profile`.")] = "well",
    dataset: Annotated[list[str] | None, typer.Option(help="Default: every one.")] = None,
    channels: Annotated[str | None, typer.Option(help="Only these: DNA,Actin.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition over profile.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write profiles as one wide table: Metadata_ columns and features, or AnnData."""
    from dataclasses import asdict

    from unidino.profiles import export as module

    done = module.export(
        Lake.open(lake),
        file,
        model,
        normalize=normalize,
        level=level,
        datasets=dataset or [],
        channels=names(channels),
        where=where,
    )
    emit(as_json, asdict(done))


def score(
    lake: LakeOption = DEFAULT_LAKE,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="nsc, nscb, nscp, nspw, nsb, nss, or a .sql rule; repeatable."),
    ] = None,
    not_same: Annotated[
        str | None, typer.Option(help="A rule on the spot: compound,plate.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="The paper's table: bbbc021, jump-target2 or insect.")
    ] = None,
    measure: Annotated[
        str,
        typer.Option(help="accuracy, map (mean average precision) or replicates (correlation)."),
    ] = "accuracy",
    model: Annotated[list[str] | None, typer.Option(help="Default: every model.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Default: every one.")] = None,
    label: Annotated[
        str | None, typer.Option(help="moa, compound, target ...; default by metric.")
    ] = None,
    level: Annotated[str, typer.Option(help="See `unidino profile`.")] = "well",
    normalize: Annotated[
        str | None, typer.Option(help="See `unidino profile`; default: mad_robustize.")
    ] = None,
    rules: Annotated[
        str | None, typer.Option(help="text (the paper's; default) or published (with --preset).")
    ] = None,
    channels: Annotated[str | None, typer.Option(help="Only these: DNA,Actin.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition over profile.")] = None,
    unmatched: Annotated[
        str, typer.Option(help="Profiles without a neighbour: drop, or count as wrong.")
    ] = "drop",
    label_filter: Annotated[
        str,
        typer.Option(
            help="Labels left out: reachable (those none can match), decoys (the same, but they"
            " stay as neighbours of others), rows (those of one row) or none."
        ),
    ] = "reachable",
    neighbours: Annotated[int, typer.Option(min=1, help="How many vote.")] = 1,
    include_controls: Annotated[bool, typer.Option(help="Score negative controls too.")] = False,
    seed: Annotated[int, typer.Option(help="Of random rankings (map, replicates).")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ...")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Score profiles by nearest neighbours that may not share what the rule names."""
    metrics = [name for given in metric or [] for name in names(given)]
    if not_same:
        metrics.append("not same " + ", ".join(names(not_same)))
    if preset:
        _score_preset(lake, preset, metrics, model, dataset, normalize, rules, device, as_json)
        return
    if not metrics:
        raise InputError("say how to score: --metric NAME, --not-same COLUMNS or --preset NAME")
    choose("measure", measure, ("accuracy", "map", "replicates"))
    chosen: dict[str, Any] = {
        "models": model or [],
        "label": label,
        "level": level,
        "normalize": normalize or "mad_robustize",
        "rules": rules or "text",
        "channels": names(channels),
        "where": where,
        "include_controls": include_controls,
        "label_filter": label_filter,
        "datasets": dataset or [],
    }
    if measure != "accuracy":
        _score_labels(lake, measure, metrics, chosen, seed, as_json)
        return
    from unidino.scores import accuracy as module
    from unidino.scores.history import score_table

    scores = module.score(
        Lake.open(lake),
        metrics,
        unmatched=unmatched,
        neighbours=neighbours,
        device=device,
        **chosen,
    )
    emit(as_json, [s.as_json() for s in scores], score_table(scores))
    _say_dropped(scores)


def _score_preset(
    lake: Path,
    preset: str,
    metrics: list[str],
    model: list[str] | None,
    dataset: list[str] | None,
    normalize: str | None,
    rules: str | None,
    device: str,
    as_json: bool,
) -> None:
    from unidino.scores import paper

    if metrics:
        raise InputError("--preset brings its own metrics; leave out --metric and --not-same")
    if len(dataset or []) > 1:
        raise InputError("--preset is about one dataset; give one --dataset")
    scores = paper.score_preset(
        Lake.open(lake),
        preset,
        models=model or [],
        dataset=dataset[0] if dataset else None,
        normalize=normalize,
        rules=rules or "published",
        device=device,
    )
    emit(as_json, [s.as_json() for s in scores], paper.preset_table(preset, scores))
    _say_dropped(scores)


def _score_labels(
    lake: Path, measure: str, metrics: list[str], chosen: dict[str, Any], seed: int, as_json: bool
) -> None:
    from unidino.scores import labels as module

    scores = module.score_labels(Lake.open(lake), measure, metrics, seed=seed, **chosen)
    emit(
        as_json,
        [s.as_json() for s in scores],
        pl.DataFrame(
            [
                {
                    "dataset": s.dataset,
                    "model": s.model,
                    "metric": s.metric,
                    "label": f"{s.label}/{s.level}",
                    measure: s.value,
                    "above chance": f"{round(s.share_above_chance * s.num_classes)} of"
                    f" {s.num_classes}",
                    "n": s.n,
                }
                for s in scores
            ]
        ),
    )
    _say_dropped(scores)


def _say_dropped(scores: Sequence[Any]) -> None:
    for line in dict.fromkeys(
        f"{s.dataset}, {s.metric}: {reason_text(reason, count)}"
        for s in scores
        for reason, count in s.dropped.items()
    ):
        log.warning(line)
