"""The summary at the top of the report: four questions, each answered in words."""

from collections.abc import Sequence

import polars as pl

from unidino.core import assets
from unidino.core.account import listed, number_of
from unidino.core.errors import ProfileError
from unidino.figures.quality import quality_rows
from unidino.figures.training import training_logs
from unidino.insight.quality import summary as quality_summary
from unidino.lake.lake import Lake
from unidino.reports.assay import in_short
from unidino.reports.page import Section
from unidino.reports.shown import ShownProfiles, rows_of_one_normalization
from unidino.scores.accuracy import LakeScore
from unidino.scores.history import latest_scores
from unidino.training.health import verdict

_MOST_NAMED = 6


def summary(lake: Lake, profiles: ShownProfiles | None, model: str | None) -> Section:
    """What is in the lake, whether the assay is good, what is active, and what the model knows.

    Nothing for a lake without plates. model: shown in the figures.
    """
    datasets = lake.look_up(assets.sql("queries", "lake_content"))
    if datasets.is_empty():
        return Section("Summary")
    answers = [
        ("What is in it?", _contents(lake, datasets, profiles)),
        ("Is the assay good?", _assay(lake, model)),
        ("What is active?", _active(lake, profiles)),
        ("What does the model know?", _knowledge(lake, profiles, model)),
    ]
    return Section("Summary", answers=answers)


def _contents(lake: Lake, datasets: pl.DataFrame, profiles: ShownProfiles | None) -> str:
    of_each = [
        f"{row['dataset']}: {number_of(row['plates'], 'plate')}, {row['wells']:,} wells, "
        + (f"{row['images']:,} images of {row['channels']}" if row["images"] else "no images")
        for row in datasets.to_dicts()
    ]
    known = lake.look_up(
        "select count(distinct compound) as compounds, count(distinct moa) as moas,"
        " count(*) filter (where control_type = 'negcon') as negcons from well"
    ).row(0, named=True)
    more = len(of_each) - _MOST_NAMED
    text = "; ".join(of_each[:_MOST_NAMED]) + (f"; and {more} more datasets" if more > 0 else "")
    text += f". {number_of(known['compounds'], 'compound')}"
    text += f", {number_of(known['moas'], 'mechanism')}" if known["moas"] else ", no mechanism"
    text += f", {number_of(known['negcons'], 'well')} of negative controls."
    if profiles is not None:
        text += (
            f" Figures show {profiles.level} profiles of {profiles.model}"
            f" ({profiles.normalization}); `--model` and `--normalize` choose others."
        )
    return text


def _assay(lake: Lake, model: str | None) -> str:
    try:
        rows = quality_rows(lake)
    except ProfileError:
        return "Not known yet: run `unidino quality`."
    known = rows["model"].drop_nulls().unique(maintain_order=True).to_list()
    shown = model if model in known else (known[0] if known else None)
    rows = rows.filter(pl.col("model").is_null() | (pl.col("model") == (shown or "")))
    frame = quality_summary(rows.drop("question", "question_hash", "run_id").to_dicts())
    return " ".join(in_short(rows, frame)) or "The figures of quality say nothing of these plates."


def _active(lake: Lake, profiles: ShownProfiles | None) -> str:
    form = profiles.normalization if profiles else None
    model = profiles.model if profiles else None
    said = []
    known = lake.look_up(assets.sql("queries", "standard_label_score"))
    rows = known.filter((pl.col("measure") == "activity") & (pl.col("model") == (model or "")))
    rows = rows_of_one_normalization(rows, form)
    for (dataset, label), of_label in rows.group_by("dataset", "label", maintain_order=True):
        active = int(of_label["is_above_chance"].sum())
        said.append(
            f"{dataset}: {active} of {number_of(len(of_label), str(label))} differ from the"
            " negative controls by their replicates (q < 0.05)."
        )
    doses = lake.look_up(assets.sql("queries", "shown_dose"))
    doses = rows_of_one_normalization(doses.filter(pl.col("model") == (model or "")), form)
    for (dataset,), of_dataset in doses.group_by("dataset", maintain_order=True):
        by_compound = of_dataset.group_by("compound").agg(
            pl.col("is_active").any(), pl.col("lowest_active_um").min()
        )
        active_ones = by_compound.filter("is_active").sort("lowest_active_um", "compound")
        named = [
            r["compound"]
            if r["lowest_active_um"] is None
            else f"{r['compound']} from {r['lowest_active_um']:.3g} µM"
            for r in active_ones.to_dicts()
        ]
        said.append(
            f"{dataset}: {len(named)} of {number_of(len(by_compound), 'compound')} respond to the"
            f" dose{': ' if named else ''}{listed(named, _MOST_NAMED)}."
        )
    if said:
        return " ".join(said)
    return (
        f"Not known yet: run `unidino score --measure activity --model {model or 'NAME'}`, and"
        f" `unidino dose --model {model or 'NAME'}` where compounds have several doses."
    )


def _knowledge(lake: Lake, profiles: ShownProfiles | None, model: str | None) -> str:
    said = [
        f"{name} {verdict(rows.to_dicts())}."
        for name, rows in training_logs(lake).items()
        if name == model
    ]
    found = [
        s for s in latest_scores(lake) if s.model == model and s.accuracy is not None and s.chance
    ]
    form = profiles.normalization if profiles else None
    found = [s for s in found if s.normalization == form] or found
    said += [_against_others(lake, s) for s in _one_a_dataset(found)]
    if not model:
        return "There is no model with profiles yet: run `unidino embed --model base --all`."
    return " ".join(said) or f"{model} is not scored yet."


def _one_a_dataset(scores: Sequence[LakeScore]) -> list[LakeScore]:
    """The score of each dataset that says most: of mechanisms, by the paper's first rule."""
    ranked = sorted(scores, key=lambda s: (s.label != "moa", s.metric != "nsc", s.rules != "text"))
    first: dict[str, LakeScore] = {}
    for score in ranked:
        first.setdefault(score.dataset, score)
    return list(first.values())[:_MOST_NAMED]


def _against_others(lake: Lake, score: LakeScore) -> str:
    """The accuracy of a model, beside chance and the baselines that answered the same question."""
    kinds = dict(lake.look_up("select model, kind from model").iter_rows())
    names = {"gaussian": "random numbers", "cell_count": "the number of cells alone"}
    same = [
        f"{names[kinds[s.model]]} {_percent(s.accuracy)}"
        for s in latest_scores(lake)
        if kinds.get(s.model) in names
        and s.accuracy is not None
        and s.model != score.model
        and (s.dataset, s.asked) == (score.dataset, score.asked)
    ]
    low, high = score.interval_95 or (None, None)
    within = f" ({_percent(low)} to {_percent(high)})" if low is not None else ""
    beyond = "" if low is None or low > (score.chance or 0) else ", which is not beyond chance"
    others = [f"chance is {_percent(score.chance)}", *same]
    return (
        f"On {score.dataset} it finds the {score.label} of {_percent(score.accuracy)}{within} of"
        f" the {score.level}s ({score.metric.upper()}){beyond}; {', '.join(others)}."
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
