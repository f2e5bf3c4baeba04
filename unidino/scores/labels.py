"""Scores that say for every label whether it stands out: mean average precision and replicates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from unidino.core.errors import ProfileError, choose
from unidino.core.log import log
from unidino.core.sql import insert
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import groups
from unidino.scores.precision import mean_average_precision, rank
from unidino.scores.replicates import replicate_correlation
from unidino.scores.rules import LABELS, candidates, default_label, rule_sql

MEASURES = ("map", "replicates")


@dataclass(frozen=True)
class LabelScore:
    """How many labels stand out from chance, and each of them.

    value: mean over the labels of their mean average precision, or median correlation.
    share_above_chance: of the labels. n: profiles. dropped: profiles left out: reason and count.
    classes: a row for each label, see `precision` and `replicates`.
    """

    model: str
    normalization: str
    dataset: str
    channels: tuple[str, ...]
    measure: str
    metric: str
    rules: str
    label: str
    level: str
    value: float
    share_above_chance: float
    n: int
    num_classes: int
    dropped: dict[str, int]
    classes: pl.DataFrame = field(repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The score as plain values, its labels as a list."""
        return asdict(self) | {"classes": self.classes.to_dicts()}


def score_labels(
    lake: Lake,
    measure: str,
    metric: Sequence[str],
    *,
    models: Sequence[str] = (),
    label: str | None = None,
    level: str = "well",
    normalize: str = "mad_robustize",
    rules: str = "text",
    channels: Sequence[str] = (),
    where: str | None = None,
    datasets: Sequence[str] = (),
    include_controls: bool = False,
    label_filter: str = "reachable",
    seed: int = 0,
) -> list[LabelScore]:
    """A score of every label for every metric, model and dataset; missing profiles are made.

    measure: `map` (mean average precision) or `replicates` (median correlation). Other arguments:
    see `score.score`. seed: of the random rankings and groups.
    Raises UnidinoError for an unknown name, ProfileError if no dataset can be scored.
    """
    choose("measure", measure, MEASURES)
    queries = {name: rule_sql(name, rules) for name in metric}
    if label:
        choose("label", label, LABELS)
    run = Run(
        "score",
        {
            "measure": measure,
            "metric": metric,
            "models": models,
            "label": label,
            "level": level,
            "normalize": normalize,
            "rules": rules,
            "channels": channels,
            "where": where,
            "seed": seed,
        },
    )
    results: list[LabelScore] = []
    why_not: list[str] = []
    for group in groups(lake, models, normalize, level, where, channels, datasets):
        for name, query in queries.items():
            own_label = label or default_label(name)
            try:
                own = candidates(
                    group.metadata,
                    group.vectors,
                    own_label,
                    query,
                    include_controls=include_controls,
                    label_filter=label_filter,
                )
                vectors = group.vectors[own.positions]
                if measure == "map":
                    classes = mean_average_precision(rank(vectors, own), own, seed=seed)
                else:
                    classes, _ = replicate_correlation(vectors, own, seed=seed)
            except ProfileError as error:
                why_not.append(f"{group.made.dataset} is not scored by {name}: {error}")
                continue
            value, above = (
                ("mean_average_precision", "is_significant")
                if measure == "map"
                else ("correlation", "is_replicating")
            )
            results.append(
                LabelScore(
                    group.made.model,
                    group.made.normalization,
                    group.made.dataset,
                    group.channels,
                    measure,
                    name,
                    rules,
                    own_label,
                    level,
                    float(classes[value].to_numpy().mean()),
                    float(classes[above].to_numpy().mean()),
                    int(own.is_scored.sum()),
                    len(classes),
                    group.made.dropped | own.dropped,
                    classes,
                )
            )
    if not results:
        raise ProfileError(why_not[0] if why_not else "no profile fits --where")
    for line in dict.fromkeys(why_not):
        log.warning(line)
    _land(lake, run, results)
    return results


def _land(lake: Lake, run: Run, results: list[LabelScore]) -> None:
    rows = []
    for result in results:
        common = asdict(result) | {"channels": list(result.channels), "run_id": run.run_id}
        for name in ("classes", "value", "share_above_chance", "n", "num_classes", "dropped"):
            del common[name]
        for row in result.classes.to_dicts():
            above = row.pop("is_significant" if result.measure == "map" else "is_replicating")
            rows.append(common | row | {"is_above_chance": above})
    with lake.write() as con:
        run.record(con)
        insert(con, "label_score", rows)
