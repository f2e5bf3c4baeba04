"""How well profiles do: accuracies, labels, readouts, and what channels contribute."""

import polars as pl

from unidino.figures import draw, kinds
from unidino.figures import rows as figure_rows
from unidino.lake.lake import Lake
from unidino.reports.page import Listed, Section, Shown, shown_if
from unidino.scores.history import latest_scores, score_table


def scores(lake: Lake) -> Section:
    """Accuracies with intervals, ceiling and chance, and paired differences."""
    latest = latest_scores(lake)
    names = ", ".join(dict.fromkeys(s.model for s in latest))
    parts: list[Shown | Listed] = [
        *shown_if(
            lambda: draw.score_intervals(latest),
            "Dot: accuracy; line: 95 % interval over compounds; tick: chance; diamond: ceiling.",
            f"Accuracies with intervals of {names}, by dataset and metric; the numbers are in the"
            " table of scores.",
        ),
        Listed(
            score_table(latest) if latest else pl.DataFrame(), "Scores.", folded=len(latest) > 12
        ),
        *shown_if(
            lambda: draw.difference_intervals(latest),
            "Difference of the accuracies on the profiles that both models scored, with its paired"
            " 95 % interval; an interval clear of 0 says that one is better.",
            f"Paired differences of accuracy between {names}.",
        ),
    ]
    return Section(
        "Scores",
        "Share of profiles whose nearest eligible neighbour has their label. The ceiling is what no"
        " method can beat under the rule, chance what a random eligible neighbour gets.",
        parts,
        missing="run `unidino score --metric nsc,nscb`.",
    )


def labels(lake: Lake) -> Section:
    """Which labels stand out from chance."""
    return Section(
        "Labels",
        "Each label on its own: how early its members are ranked (mean average precision), or how"
        " much its replicates correlate.",
        shown_if(
            lambda: kinds.labels_figure(lake),
            "Filled: above chance. Of many labels the best are shown.",
            "Mean average precision or replicate correlation of each label.",
        ),
        missing="run `unidino score --measure map --metric nsc` or `--measure replicates`.",
    )


def readouts(lake: Lake) -> Section:
    """How many measured readouts profiles predict."""
    return Section(
        "Readouts",
        "Share of the measured readouts that profiles predict with an R² of at least t, and the"
        " area under that curve.",
        shown_if(
            lambda: kinds.readouts_figure(lake),
            "A panel for each dataset and stratum, a curve for each model; larger is better.",
            "Curves of the share of readouts against the threshold of R².",
        ),
        missing="run `unidino readouts --table FILE --model NAME`.",
    )


def channels(lake: Lake, model: str | None, label: str) -> Section:
    """Which channels tell classes apart, and what accuracies are without each."""
    rows = figure_rows.attribution_rows(lake, label=label, prefer=model)
    of = rows["model"][0] if not rows.is_empty() else ""
    subsets = draw.channel_subsets(latest_scores(lake, parts_of_channels=True))
    return Section(
        "Channels",
        parts=[
            *shown_if(
                lambda: draw.attribution_bars(rows),
                f"Where the features lie that tell each {label} from all others best, by model"
                f" {of}. Dotted: the shares that chance would give.",
                f"Stacked bars: share of each channel in the most important features, by {label}.",
            ),
            *shown_if(
                lambda: draw.channel_accuracies(subsets),
                "Accuracies with one channel alone and with one left out, against all of them.",
                "Accuracies with one channel alone and with one left out, by channel.",
            ),
        ],
        missing="run `unidino attribute --model NAME --scores auto`.",
    )
