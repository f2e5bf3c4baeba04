"""Sections about results: accuracies, labels, readouts, and the contribution of channels."""

import polars as pl

from unidino.core import assets
from unidino.core.account import listed
from unidino.figures.draw.channels import attribution_bars, channel_accuracies, channel_subsets
from unidino.figures.draw.dose import dose_curves
from unidino.figures.draw.relations import mixing_intervals, pair_intervals, plate_shifts
from unidino.figures.draw.scores import difference_intervals, score_intervals
from unidino.figures.insight import attribution_rows, dose_rows, readouts_figure
from unidino.figures.relations import shown
from unidino.figures.scores import labels_figure
from unidino.insight.dose_curve import interval_text
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection
from unidino.reports.page import FigurePart, Section, TablePart, figure_if_any
from unidino.reports.shown import ShownProfiles, of_one_normalization, rows_of_one_normalization
from unidino.scores.history import latest_scores, other_scores
from unidino.scores.tables import question_table, score_table


def scores(lake: Lake, normalize: str | None, command: str) -> Section:
    """Accuracies with intervals, ceiling and chance, and paired differences.

    normalize: of the scores in the figures; the table has all of them. command: that scores.
    """
    every = latest_scores(lake)
    latest, others_named = of_one_normalization(every, normalize)
    more = (
        f" The figures show {latest[0].normalization}; the table also has {listed(others_named)}."
        if others_named
        else ""
    )
    names = ", ".join(dict.fromkeys(s.model for s in latest))
    parts: list[FigurePart | TablePart] = [
        *figure_if_any(
            lambda: score_intervals(latest),
            "Dot: accuracy; line: 95 % interval over compounds; tick: chance; diamond: ceiling.",
            f"Accuracies with intervals of {names}, by dataset and rule; the table of scores has"
            " the numbers.",
        ),
        TablePart(
            score_table(every) if every else pl.DataFrame(), "Scores.", folded=len(every) > 12
        ),
        *figure_if_any(
            lambda: difference_intervals(latest),
            "Difference of accuracy on the profiles that both models scored, with its paired 95 %"
            " interval. If the interval excludes 0, one model is better.",
            f"Paired differences of accuracy between {names}.",
        ),
    ]
    if others := other_scores(lake):
        parts.append(
            TablePart(
                question_table(others),
                "Answers to other questions: of some profiles, or counted in another way.",
                folded=True,
            )
        )
    return Section(
        "Scores",
        "Accuracy: the share of profiles whose nearest allowed neighbour has the same label."
        " Ceiling: the highest accuracy that any method can reach under the rule. Chance: the"
        f" expected accuracy of a random allowed neighbour.{more}",
        parts,
        missing=f"run `{command}`.",
    )


def labels(lake: Lake, profiles: ShownProfiles | None, label: str) -> Section:
    """The score of each label, of the shown profiles where these are scored."""
    rule = "--metric nsc" if label in ("moa", "target") else f"--not-same plate --label {label}"
    known = lake.look_up(assets.sql("queries", "standard_label_score"))
    keys = known.select("model", "level", "normalization").unique().rows()
    wanted = profiles and (profiles.model, profiles.level, profiles.normalization)
    selection = profiles.selection if profiles and wanted in keys else None
    return Section(
        "Labels",
        "The score of each label: how early its profiles are ranked (mean average precision), or"
        " how strongly its replicates correlate.",
        figure_if_any(
            lambda: labels_figure(lake, selection),
            "Filled: above chance. Of more than 40 labels the best are shown.",
            "Mean average precision or replicate correlation of each label.",
        ),
        missing=f"run `unidino score --measure map {rule}` or `unidino score --measure activity`.",
    )


def pairs(lake: Lake) -> Section:
    """The known pairs that profiles find again."""
    rows = shown(lake, "pair_score")
    columns = {
        "recall_similar": "similar",
        "recall_opposite": "opposite",
        "num_pairs": "pairs",
        "num_entities": "entities",
        "num_map_entities": "of",
        "num_unmatched": "unmatched",
    }
    names = ("dataset", "model", "normalization", "database", "label", "tail_percent", "recall")
    table = rows.select(*names, "interval_low", "interval_high", "chance", *columns)
    return Section(
        "Known pairs",
        "Recall: the share of known pairs of entities, such as genes of one complex, whose profiles"
        " are among the most similar or the most opposite of all pairs (Celik et al. 2024). Random"
        " pairs have the recall of chance. Unmatched: known pairs with an entity that has no"
        " profile.",
        [
            *figure_if_any(
                lambda: pair_intervals(rows),
                "Dot: recall; line: 95 % interval over entities; tick: chance.",
                "Recalls of known pairs with intervals, by dataset, database and model.",
            ),
            TablePart(table.rename(columns), "Recall of known pairs.", folded=len(rows) > 12),
        ],
        missing="run `unidino score --measure pairs --pairs FILE`.",
    )


def batches(lake: Lake) -> Section:
    """How much batches mix, and how controls drift over the plates."""
    rows = shown(lake, "batch_mixing")
    columns = {"num_profiles": "profiles", "num_batches": "batches", "trend_p_value": "trend p"}
    names = ("dataset", "model", "normalization", "wells", "unit", "label", "mixing")
    table = rows.select(
        *names,
        *("interval_low", "interval_high", "silhouette_label", "silhouette_batch"),
        *("num_profiles", "num_batches", "trend", "trend_p_value"),
    )
    shifts = shown(lake, "batch_drift")
    return Section(
        "Mixing of batches",
        "Mixing: the effective number of batches among the neighbours of a profile, from 0 (all of"
        " its own batch) to 1 (as if batches were shuffled among the profiles of each label)."
        " Silhouettes say how far labels and batches lie apart: the one of the label should be"
        " higher. Trend: whether the negative controls of plates that are further apart in order"
        " differ more. Shift: how far the controls of a plate lie from those of the others, where 1"
        " is chance.",
        [
            *figure_if_any(
                lambda: mixing_intervals(rows),
                "Dot: mixing; line: 95 % interval; tick: shuffled batches.",
                "Mixing of batches with intervals, by dataset, model and normalization.",
            ),
            TablePart(table.rename(columns), "Mixing of batches.", folded=len(rows) > 12),
            *figure_if_any(
                lambda: plate_shifts(shifts),
                "Shift of the negative controls of each plate, in the order of batch and name.",
                "Shift of the negative controls, plate by plate.",
            ),
        ],
        missing="run `unidino batches`.",
    )


def readouts(lake: Lake, normalize: str | None) -> Section:
    """The share of measured readouts that profiles predict."""
    known = lake.look_up(assets.sql("queries", "shown_readout_score"))
    rows = rows_of_one_normalization(known, normalize)
    form, level = (
        ("", "") if rows.is_empty() else rows.select("normalization", "level").sort("level").row(0)
    )
    return Section(
        "Readouts",
        "The share of measured readouts that profiles predict with an R² of at least t, and the"
        " area under that curve.",
        figure_if_any(
            lambda: readouts_figure(lake, Selection(level=level, normalize=form) if form else None),
            "One panel for each dataset and stratum, one curve for each model."
            f"{f' Normalization: {form}.' if form else ''} Larger is better.",
            "Curves of the share of readouts against the threshold of R².",
        ),
        missing="run `unidino readouts --table FILE --model NAME`.",
    )


def doses(lake: Lake, model: str | None, normalize: str | None) -> Section:
    """From which dose on compounds differ from the controls, and in which channel."""
    rows = dose_rows(lake, _of_form(lake, "shown_dose", normalize), model=model)
    parts: list[FigurePart | TablePart] = []
    text = ""
    if not rows.is_empty():
        first = rows.row(0, named=True)
        by_compound = rows.group_by("compound").agg(pl.col("is_active").any())
        text = (
            f"{first['dataset']}, {first['model']}, {first['normalization']}:"
            f" {int(by_compound['is_active'].sum())} of {len(by_compound)} compounds differ from"
            " the negative controls (q < 0.05). EC50: dose of half the effect, left out where it is"
            " not among the tested doses. Lowest active dose: it and all higher ones differ from"
            " the controls."
        )
        parts += figure_if_any(
            lambda: dose_curves(rows),
            "Points: wells; line: fitted curve with its 95 % band, grey if not active; grey band:"
            " 95 % of the negative controls; vertical line: EC50 in its 95 % interval; triangle:"
            " lowest active dose.",
            "Effects of wells against the dose with fitted curves, by compound and channel.",
        )
        parts.append(
            TablePart(
                dose_columns(rows),
                "Dose responses.",
                folded=len(rows) > 12,
            )
        )
    return Section(
        "Dose response",
        text,
        parts,
        missing=f"run `unidino dose --model {model or 'NAME'}`; compounds at two doses or more are"
        " needed.",
    )


def dose_columns(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `dose` as people read them; an end of an interval may lie beyond those tested."""
    number = {
        name: pl.col(name).map_elements(lambda v: f"{v:.3g}", pl.String).fill_null("")
        for name in ("ec50_um", "lowest_active_um")
    }
    is_known = pl.col("ec50_um").is_not_null()
    ec50 = (
        pl.when(is_known)
        .then(number["ec50_um"])
        .when(~pl.col("is_active"))
        .then(pl.lit("inactive"))
        .when(pl.col("beyond").is_null())
        .then(pl.lit(""))
        .otherwise(pl.format("{} the tested doses", "beyond"))
    )
    ends = pl.Series(
        [interval_text(*row) for row in rows.select("ec50_low_um", "ec50_high_um").iter_rows()],
        dtype=pl.String,
    )
    return rows.select(
        "compound",
        "channel",
        ec50.alias("EC50, µM"),
        pl.when(is_known).then(ends).otherwise(pl.lit("")).alias("95 %"),
        number["lowest_active_um"].alias("lowest active, µM"),
        pl.col("q_value").round(4).alias("q"),
        pl.col("top").round(2).alias("effect at the top"),
        pl.col("r2").round(2).alias("R²"),
        "curve",
        pl.col("num_doses").alias("doses"),
        pl.col("n").alias("wells"),
    )


def channels(lake: Lake, model: str | None, label: str, normalize: str | None) -> Section:
    """The channels that separate classes, and accuracies with and without each channel."""
    form = _of_form(lake, "shown_attribution", normalize)
    rows = attribution_rows(lake, form, label, model=model)
    name = f"{rows['model'][0]}, {rows['normalization'][0]}" if not rows.is_empty() else ""
    scored, _ = of_one_normalization(latest_scores(lake, parts_of_channels=True), normalize)
    subsets = channel_subsets(scored)
    return Section(
        "Channels",
        parts=[
            *figure_if_any(
                lambda: attribution_bars(rows),
                f"Channels of the features that separate each {label} best from all others, for"
                f" model {name}. Dotted: shares expected by chance.",
                f"Stacked bars: share of each channel in the most important features, by {label}.",
            ),
            *figure_if_any(
                lambda: channel_accuracies(subsets),
                "Accuracies with one channel alone and with one left out, against all of them.",
                "Accuracies with one channel alone and with one left out, by channel.",
            ),
        ],
        missing=f"run `unidino attribute --model {model or 'NAME'}"
        f"{'' if label == 'moa' else f' --label {label}'} --scores auto`.",
    )


def _of_form(lake: Lake, query: str, normalize: str | None) -> Selection | None:
    """The results of a normalization; None, for any, if there are none of it."""
    if normalize is None:
        return None
    rows = lake.look_up(assets.sql("queries", query)).filter(pl.col("normalization") == normalize)
    if rows.is_empty():
        return None
    return Selection(level=rows["level"].sort()[0], normalize=normalize)
