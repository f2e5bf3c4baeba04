"""Section about assay quality: what the table `quality` says of plates, wells and images."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from unidino.core.account import listed, number_of
from unidino.core.errors import ProfileError
from unidino.figures.quality import quality_figure, quality_rows
from unidino.insight.quality import summary
from unidino.lake.lake import Lake
from unidino.profiles.selection import Selection
from unidino.reports.page import FigurePart, Section, TablePart

HEADING = "Assay quality"
_MISSING = "run `unidino quality`."
_GOOD, _NONE = 0.5, 0.0  # Z' of an excellent assay, and of controls whose bands of 3 sd touch


def assay_quality(lake: Lake, model: str | None) -> Section:
    """The newest figures of assay quality, by one model: words, a figure, tables."""
    try:
        rows = quality_rows(lake)
    except ProfileError:
        return Section(HEADING, missing=_MISSING)
    known = rows["model"].drop_nulls().unique(maintain_order=True).to_list()
    shown = model if model in known else (known[0] if known else None)
    rows = rows.filter(pl.col("model").is_null() | (pl.col("model") == (shown or "")))
    frame = summary(rows.drop("question", "question_hash", "run_id").to_dicts())
    flagged = rows.filter(pl.col("is_flagged") & pl.col("well").is_not_null()).select(
        "plate", "well", "field", "channel", "measure", "value", "threshold"
    )
    selection = Selection(models=[shown] if shown else ())
    parts: list[FigurePart | TablePart] = [
        FigurePart(
            quality_figure(lake, selection),
            "A row for each plate. Z′: 1 − 3 (sd of positive + sd of negative controls) / distance"
            " of their means, on the axis between them, from which each well is left out; grey:"
            " 0.5 and better. Diamonds: median correlation of treated wells with their replicates;"
            " lines: 95 % of pairs of different treatments are below. Then the share of the"
            " variance of the negative controls that lies between rows, columns, and edge and"
            " inside (*: q < 0.05 by permutation), and numbers of flagged wells and images (–:"
            " nothing to judge).",
            "Plates by their Z prime, correlation of replicates, position effects and flags.",
        ),
        TablePart(
            frame.select(c.name for c in frame if c.null_count() < len(frame)).drop(
                "notes", strict=False
            ),
            "Quality by plate. robust: with medians and MAD; replicating: % of treated wells whose"
            " replicates correlate more than 95 % of other pairs; _q: q-values of positions.",
            folded=len(frame) > 12,
        ),
        TablePart(
            flagged,
            "Flagged wells and images. outlier_wells: modified z-score of the log distance to"
            " replicates; few_cells: number of cells; blurred, dim, bright: modified z-score of the"
            " log focus or mean within plate and channel.",
            folded=True,
        ),
    ]
    return Section(HEADING, " ".join(verdict(rows, frame, shown)), parts, missing=_MISSING)


def verdict(rows: pl.DataFrame, frame: pl.DataFrame, model: str | None) -> list[str]:
    """The state of the plates in sentences. rows: of `quality`; frame: of `summary`."""
    plates = frame["plate"].n_unique()
    said = [f"{number_of(plates, 'plate')}{f', as {model} sees them' if model else ''}."]
    said += _controls(frame, plates)
    said += _replicates(rows)
    said += _positions(rows)
    said += _flagged(rows)
    reasons = rows.drop_nulls("reason").group_by("reason", maintain_order=True)
    unsaid = [
        f"{reason} ({_of(of_reason['plate'].n_unique(), plates)})"
        for (reason,), of_reason in reasons
    ]
    return [*said, *([f"What cannot be said: {listed(unsaid, 6)}."] if unsaid else [])]


def in_short(rows: pl.DataFrame, frame: pl.DataFrame) -> list[str]:
    """Controls, replicates and flags in sentences, for a summary; arguments as of `verdict`."""
    plates = frame["plate"].n_unique()
    said = _controls(frame, plates)
    if not said:
        of_axis = rows.filter(pl.col("measure") == "z_prime").drop_nulls("reason")
        why = of_axis["reason"].unique(maintain_order=True).to_list() or ["no positive control"]
        said = [f"Z′ is not known ({listed(why, 2)})."]
    return [*said, *_replicates(rows), *_flagged(rows)]


def _of(num: int, plates: int) -> str:
    return "every plate" if num == plates else f"{num} of {plates} plates"


def _controls(frame: pl.DataFrame, plates: int) -> list[str]:
    known = frame.drop_nulls("z_prime")
    if known.is_empty():
        return []
    values = known["z_prime"].to_numpy()
    good, bad = int((values >= _GOOD).sum()), int((values < _NONE).sum())
    text = (
        f"Z′ of the controls is {values.min():.2f} to {values.max():.2f} on"
        f" {_of(len(known), plates)}: {good} reach {_GOOD:g}"
    )
    if bad:
        names = known.filter(pl.col("z_prime") < _NONE)["plate"].to_list()
        text += f", and on {bad} the controls overlap ({listed(names, 4)})"
    return [f"{text}."]


def _replicates(rows: pl.DataFrame) -> list[str]:
    known = rows.filter(pl.col("measure") == "replicate_correlation").drop_nulls("value")
    shares = rows.filter(pl.col("measure") == "percent_replicating").drop_nulls("value")
    if known.is_empty():
        return []
    middle, others = (float(known[c].to_numpy().mean()) for c in ("value", "threshold"))
    share = float(np.average(shares["value"].to_numpy(), weights=shares["n"].to_numpy()))
    text = (
        f"Replicates correlate by {middle:.2f} in the mean of the plates, and {share:.0f} % of the"
        f" treated wells more than 95 % of other pairs do ({others:.2f})"
    )
    low = known.filter(pl.col("value") < pl.col("threshold"))["plate"].to_list()
    return [f"{text}; below that are {listed(low, 5)}." if low else f"{text}."]


def _positions(rows: pl.DataFrame) -> list[str]:
    tested = rows.filter(pl.col("measure").str.ends_with("_effect")).drop_nulls("q_value")
    if tested.is_empty():
        return []
    found = tested.filter(pl.col("is_flagged"))
    if found.is_empty():
        return [
            f"No position effect on the negative controls is beyond chance ({len(tested)} tests)."
        ]
    named = [
        f"{r['plate']}: {r['measure'].removesuffix('_effect')},"
        f" {r['channel'] or r['subject'].replace('_', ' ')} ({100 * r['value']:.0f} %)"
        for r in found.sort("value", descending=True).to_dicts()
    ]
    return [f"The place of a negative control matters on {listed(named, 5)}."]


def _flagged(rows: pl.DataFrame) -> list[str]:
    counted = rows.filter(pl.col("well").is_null() & pl.col("value").is_not_null())
    words = {
        "outlier_wells": "wells far from their replicates",
        "few_cells": "wells with few cells",
        "blurred": "blurred images",
        "dim": "dim images",
        "bright": "bright images",
    }
    texts: Sequence[str] = [
        f"{int(some['value'].sum())} {word} of {some['n'].sum()}"
        for measure, word in words.items()
        if not (some := counted.filter(pl.col("measure") == measure)).is_empty()
    ]
    return [f"Flagged: {', '.join(texts)}."] if texts else []
