"""The command that scores profiles."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from unidino.cli.output import DEFAULT_LAKE, JsonOption, LakeOption, emit, names, one_of, open_lake
from unidino.cli.profiles import (
    ChannelsOption,
    DatasetsOption,
    LevelOption,
    ModelsOption,
    WhereOption,
)
from unidino.core.choices import (
    MAX_SEED,
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
        Literal["accuracy", Measure],
        typer.Option(
            help="map: mean average precision; replicates: correlation of replicates; activity:"
            " replicates against negative controls; enrichment: odds ratio in the top of rankings."
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
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, ...")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Score profiles by their nearest neighbours; a rule says which neighbours are allowed."""
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
    if not chosen_rules and measure == "activity":
        chosen_rules = ["any"]
    if not chosen_rules:
        raise InputError("no rule; give --metric NAME, --not-same COLUMNS or --preset NAME")
    from unidino.profiles.selection import Selection
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
    selection = Selection(
        model or (), dataset or (), level, normalize or "mad_robustize", names(channels), where
    )
    if measure == "accuracy":
        from unidino.scores.accuracy import score as run_score

        _show(run_score(at, asked, selection, device=device), as_json)
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


def _show(scores: Any, as_json: bool) -> None:
    """Print scores, and warn once about each reason why profiles were left out."""
    emit(as_json, [s.as_json() for s in scores], scores.frame)
    for line in dict.fromkeys(
        f"{s.dataset}, {s.metric}: {reason_text(reason, count)}"
        for s in scores
        for reason, count in s.dropped.items()
    ):
        log.warning(line)
