"""Commands that make profiles of embeddings, and score them."""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from unidino.catalog import Lake
from unidino.cli.output import DEFAULT_LAKE, JsonOption, LakeOption, emit, names
from unidino.errors import InputError
from unidino.progress import say

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

    from unidino import profiles

    given = {"controls": controls, "per": per, "channels": "+".join(names(channels))}
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
    metrics = [name for given in metric or [] for name in names(given)]
    if not_same:
        metrics.append("not same " + ", ".join(names(not_same)))
    if not metrics:
        raise InputError("say how to score: --metric NAME or --not-same COLUMNS")
    from unidino import score as module
    from unidino.score_table import score_table

    scores = module.score(
        Lake.open(lake), metrics, models=model or [], label=label, level=level, normalize=normalize,
        rules=rules, channels=names(channels),
        where=where, unmatched=unmatched, include_controls=include_controls,
    )  # fmt: skip
    emit(as_json, [s.as_json() for s in scores], score_table(scores))
    for dropped in dict.fromkeys(
        f"{s.dataset}, {s.metric}: left out {count} profiles ({reason.replace('_', ' ')})"
        for s in scores
        for reason, count in s.dropped.items()
    ):
        say(dropped)
