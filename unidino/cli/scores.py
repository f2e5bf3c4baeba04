"""The command that scores profiles."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from unidino.cli.output import DEFAULT_LAKE, JsonOption, LakeOption, emit, names, one_of, open_lake
from unidino.cli.profiles import (
    ChannelsOption,
    DatasetsOption,
    LevelOption,
    ModelsOption,
    NormalizeOption,
    WhereOption,
)
from unidino.core.choices import (
    MAX_SEED,
    BatchUnit,
    ControlsOf,
    Label,
    LabelFilter,
    Measure,
    Preset,
    Reading,
    Unmatched,
)
from unidino.core.errors import InputError
from unidino.core.log import log
from unidino.core.reasons import reason_text


def score(
    lake: LakeOption = DEFAULT_LAKE,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Rule: nsc, nscb, nscp, nspw, nsb, nss, any, or a .sql file; repeatable."
        ),
    ] = None,
    not_same: Annotated[
        str | None, typer.Option(help="A rule by its columns: compound,plate.")
    ] = None,
    preset: Annotated[Preset | None, typer.Option(help="Compute a table of the paper.")] = None,
    measure: Annotated[
        Literal["accuracy", Measure, "pairs"],
        typer.Option(
            help="map: mean average precision; replicates: correlation of replicates; activity:"
            " replicates against negative controls; enrichment: odds ratio in the top of rankings;"
            " pairs: recall of the known pairs of --pairs."
        ),
    ] = "accuracy",
    model: ModelsOption = None,
    dataset: DatasetsOption = None,
    label: Annotated[
        Label | None, typer.Option(help="Label to score; default: by the metric.")
    ] = None,
    level: LevelOption = "well",
    normalize: Annotated[
        str | None, typer.Option(help="See `unidino profile`; default: mad_robustize.")
    ] = None,
    reading: Annotated[
        Reading | None,
        typer.Option(
            help="Rules of the paper's text or of its published program; default: text, with"
            " --preset published."
        ),
    ] = None,
    rules: Annotated[Reading | None, typer.Option(hidden=True)] = None,
    channels: ChannelsOption = None,
    where: WhereOption = None,
    unmatched: Annotated[
        Unmatched, typer.Option(help="Profiles without a neighbour are dropped or count as wrong.")
    ] = "drop",
    label_filter: Annotated[
        LabelFilter,
        typer.Option(
            help="Labels to leave out. reachable: those that no neighbour can match; decoys: the"
            " same, but they stay as neighbours of others; rows: those of one profile."
        ),
    ] = "reachable",
    neighbours: Annotated[int, typer.Option(min=1, help="Number of neighbours that vote.")] = 1,
    controls_of: Annotated[
        ControlsOf, typer.Option(help="activity: the negative controls that are compared with.")
    ] = "dataset",
    top_percent: Annotated[
        float, typer.Option(help="enrichment: share of each ranking that is its top.")
    ] = 1.0,
    include_controls: Annotated[bool, typer.Option(help="Score negative controls too.")] = False,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_SEED, help="Seed of the random rankings of map and replicates."
        ),
    ] = 0,
    pairs: Annotated[
        list[Path] | None,
        typer.Option(help="pairs: table of known pairs, entity1 and entity2; repeatable."),
    ] = None,
    tail_percent: Annotated[
        float,
        typer.Option(help="pairs: percent of all pairs that are most similar, or most opposite."),
    ] = 5.0,
    fewest_entities: Annotated[
        int, typer.Option(min=1, help="pairs: a table with fewer entities is not scored.")
    ] = 20,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ...")] = "cpu",
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Workers find the neighbours: a dask scheduler's file, or its address, tcp://..."
            " Half of a worker's memory limit is for vectors."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score profiles by their nearest neighbours; a rule says which neighbours are allowed."""
    if scheduler and (preset or measure != "accuracy"):
        what = f"--preset {preset}" if preset else f"--measure {measure}"
        raise InputError(
            f"{what} is computed by one process; leave out --scheduler, which shares out the"
            " nearest neighbours of --metric and --not-same"
        )
    chosen_rules = [name for given in metric or [] for name in names(given)]
    if not_same:
        chosen_rules.append("not same " + ", ".join(names(not_same)))
    reading = one_of("--reading", reading, "--rules", rules)
    if preset:
        if chosen_rules:
            raise InputError("--preset sets the metrics; leave out --metric and --not-same")
        if len(dataset or []) > 1:
            raise InputError("--preset scores one dataset; give one --dataset")
        from unidino.scores.paper import score_preset

        scores: Sequence[Any] = score_preset(
            open_lake(lake, writes=True),
            preset,
            models=model or [],
            dataset=dataset[0] if dataset else None,
            normalize=normalize,
            reading=reading or "published",
            device=device,
        )
        _show(scores, as_json)
        return
    from unidino.profiles.selection import Selection

    selection = Selection(
        model or (), dataset or (), level, normalize or "mad_robustize", names(channels), where
    )
    if measure == "pairs":
        if chosen_rules:
            raise InputError("--measure pairs has no rule; leave out --metric and --not-same")
        if not pairs:
            raise InputError("--measure pairs needs known pairs; give --pairs FILE")
        from unidino.scores.pairs import score_pairs

        found = score_pairs(
            open_lake(lake, writes=True),
            pairs,
            selection,
            label=label or "compound",
            tail_percent=tail_percent,
            fewest_entities=fewest_entities,
        )
        _show(found, as_json)
        return
    if pairs:
        raise InputError("--pairs is for --measure pairs")
    if not chosen_rules and measure == "activity":
        chosen_rules = ["any"]
    if not chosen_rules:
        raise InputError("no rule; give --metric NAME, --not-same COLUMNS or --preset NAME")
    from unidino.scores.question import Question

    at = open_lake(lake, writes=True)
    asked = [
        Question(
            rule,
            reading or "text",
            of,
            label_filter,
            unmatched,
            include_controls,
            neighbours,
        )
        for rule in chosen_rules
        for of in ([label or ""] if label or measure != "activity" else ["treatment", "compound"])
    ]
    if measure == "accuracy":
        from unidino.scores.accuracy import score as run_score

        run: Any = run_score
        if scheduler:
            from unidino.scores.on_cluster import score_on_cluster

            run = partial(score_on_cluster, scheduler=scheduler)
        _show(run(at, asked, selection, device=device), as_json)
    else:
        from unidino.scores.labels import score_labels

        scores = score_labels(
            at,
            measure,
            asked,
            selection,
            controls_of=controls_of,
            top_percent=top_percent,
            seed=seed,
        )
        _show(scores, as_json)
        if measure == "activity" and not as_json:
            for s in scores:
                log.info(f"{s.model} on {s.dataset}, each {s.label} against negative controls:")
                emit(False, None, s.classes.sort("q_value", "class").rename({"class": s.label}))


def nearest(
    compound: Annotated[str, typer.Argument(help="Name of the compound.")],
    lake: LakeOption = DEFAULT_LAKE,
    metric: Annotated[
        str, typer.Option(help="Rule that pairs of profiles must keep: nsc, nscb, ..., .sql.")
    ] = "nsc",
    not_same: Annotated[
        str | None, typer.Option(help="A rule by its columns: compound,plate.")
    ] = None,
    model: ModelsOption = None,
    dataset: DatasetsOption = None,
    level: LevelOption = "well",
    normalize: NormalizeOption = "mad_robustize",
    channels: ChannelsOption = None,
    where: WhereOption = None,
    num: Annotated[int, typer.Option(min=1, help="Number of compounds.")] = 10,
    opposite: Annotated[bool, typer.Option(help="The least similar compounds.")] = False,
    include_controls: Annotated[bool, typer.Option(help="Compare negative controls too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the compounds whose profiles are most like those of one compound."""
    from unidino.profiles.selection import Selection
    from unidino.scores.nearest import nearest as find_nearest

    found = find_nearest(
        open_lake(lake),
        compound,
        Selection(model or (), dataset or (), level, normalize, names(channels), where),
        rule="not same " + ", ".join(names(not_same)) if not_same else metric,
        num=num,
        opposite=opposite,
        include_controls=include_controls,
    )
    emit(as_json, [row.frame.row(0, named=True) for row in found], found.frame)


def batches(
    lake: LakeOption = DEFAULT_LAKE,
    model: ModelsOption = None,
    dataset: DatasetsOption = None,
    by: Annotated[
        BatchUnit, typer.Option(help="What a batch is; source is the laboratory.")
    ] = "batch",
    label: Annotated[
        Label, typer.Option(help="What profiles of different batches have in common.")
    ] = "compound",
    level: LevelOption = "well",
    normalize: Annotated[
        list[str] | None,
        typer.Option(help="See `unidino profile`; repeatable, to compare normalizations."),
    ] = None,
    channels: ChannelsOption = None,
    where: WhereOption = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the shuffles.")] = 0,
    plates: Annotated[bool, typer.Option(help="Also list the shift of every plate.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how much batches mix, and how negative controls drift over the plates."""
    from unidino.profiles.selection import Selection
    from unidino.scores import batches as module

    found = module.batches(
        open_lake(lake, writes=True),
        Selection(model or (), dataset or (), level, channels=names(channels) or (), where=where),
        by=by,
        label=label,
        normalizations=normalize or (),
        seed=seed,
    )
    emit(as_json, [s.as_json() for s in found], found.frame)
    if plates and not as_json:
        emit(as_json, [], module.drift_table(found))
    for line in dict.fromkeys(
        f"{s.dataset}, batches: {reason_text(reason, count)}"
        for s in found
        for reason, count in s.dropped.items()
        if count
    ):
        log.warning(line)


def _show(scores: Any, as_json: bool) -> None:
    """Print scores, and warn once about each reason why profiles were left out."""
    emit(as_json, [s.as_json() for s in scores], scores.frame)
    for line in dict.fromkeys(
        f"{s.dataset}, {_asked(s)}: {reason_text(reason, count)}"
        for s in scores
        for reason, count in s.dropped.items()
    ):
        log.warning(line)


def _asked(score: Any) -> str:
    """What a score asked, in a word: its rule, or its database of pairs."""
    return str(score.database if hasattr(score, "database") else score.metric)
