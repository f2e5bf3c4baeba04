"""How much laboratories, batches or plates mix, and how negative controls drift."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

import numpy as np
import polars as pl
import pyarrow as pa

from unidino.core import assets
from unidino.core.choices import BatchUnit
from unidino.core.errors import ProfileError, choose
from unidino.core.reasons import WhyNot
from unidino.core.results import Result, Results
from unidino.core.sql import scratch
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import Group, groups
from unidino.profiles.selection import Selection, nothing_fits
from unidino.scores.drift import Drift, control_drift
from unidino.scores.mixing import Mixing, batch_mixing
from unidino.scores.rules import LABELS
from unidino.scores.tables import interval

UNITS: tuple[str, ...] = get_args(BatchUnit)
_FEWEST = 6
_PLURALS = {"plate": "plates", "batch": "batches", "source": "laboratories"}


@dataclass(frozen=True)
class BatchScore(Result):
    """How much the batches of one model's profiles of a dataset mix.

    by: what a batch is: plate, batch or source. wells: `trt` for all wells but negative controls,
    `negcon` for these. found: see `Mixing`. drift: of the negative controls over the plates; None
    for treated wells, or with fewer than three plates of two controls. dropped: what was left out:
    reason and count. asked: the whole question, as plain values.
    """

    model: str
    normalization: str
    dataset: str
    channels: tuple[str, ...]
    level: str
    by: str
    label: str
    wells: str
    found: Mixing
    drift: Drift | None
    dropped: dict[str, int]
    asked: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The score as plain values, its plates as a list."""
        values = asdict(self)
        found: dict[str, Any] = values.pop("found")
        del values["asked"]
        return values | found


def batches(
    lake: Lake,
    selection: Selection | None = None,
    *,
    by: str = "batch",
    label: str = "compound",
    normalizations: Sequence[str] = (),
    seed: int = 0,
) -> Results[BatchScore]:
    """How much batches mix, for every model, dataset and normalization.

    by: `plate`, `batch` or `source` (the laboratory). label: what profiles of different batches
    have in common; labels of one batch are left out and counted. normalizations: compared on the
    same wells, in the place of the selection's one. seed: of the shuffled batches. Negative
    controls are judged apart, with their drift over the plates. Missing profiles are computed.
    Raises UnidinoError for an unknown name, ProfileError if no dataset has two batches to compare.

    >>> import unidino as ud
    >>> found = ud.batches(lake, label="moa")
    >>> found[0].wells, found[0].found.num_batches
    ('trt', 2)
    """
    run = Run.of("batches", locals())
    choose("batch unit", by, UNITS)
    choose("label", label, LABELS)
    selection = selection or Selection()
    scores: list[BatchScore] = []
    why_not = WhyNot()
    for normalize in normalizations or [selection.normalize]:
        chosen = replace(selection, normalize=normalize)
        with why_not.collecting(normalize):
            for group in groups(lake, chosen):
                title = f"{group.profiled.title} ({group.profiled.normalization})"
                with why_not.collecting(title):
                    scores += _scores(group, chosen, by, label, seed)
    why_not.settle(anything_done=bool(scores), nothing=nothing_fits(selection))
    land_answers(lake, run, "batch_mixing", [(s.asked, [_row(s)]) for s in scores])
    with_drift = [s for s in scores if s.drift]
    land_answers(lake, run, "batch_drift", [(s.asked, _drift_rows(s)) for s in with_drift])
    return Results(scores, batch_table)


def _scores(group: Group, selection: Selection, by: str, label: str, seed: int) -> list[BatchScore]:
    """The scores of treated wells and of controls, as far as there are two batches."""
    profiled = group.profiled
    rows = _mixed(group, by, label)
    found = []
    for wells in ("trt", "negcon"):
        of_wells = rows.filter(pl.col("wells") == wells)
        labels = of_wells["label"]
        if len(of_wells) < _FEWEST:
            continue
        at = of_wells["position"].to_numpy()
        vectors = group.vectors[at]
        mixing = batch_mixing(vectors, of_wells["unit"].to_numpy(), labels.to_numpy(), seed=seed)
        drift = None
        if wells == "negcon" and {"plate", "batch"} <= set(group.metadata.column_names):
            plates = group.metadata["plate"].take(pa.array(at)).to_pylist()
            names = group.metadata["batch"].take(pa.array(at)).to_pylist()
            drift = control_drift(vectors, plates, names, seed=seed)
        options = {"by": by, "label": label, "wells": wells} | ({"seed": seed} if seed else {})
        found.append(
            BatchScore(
                profiled.model,
                profiled.normalization,
                profiled.dataset,
                group.channels,
                selection.level,
                by,
                label,
                wells,
                mixing,
                drift,
                profiled.dropped | {"not_compared": group.metadata.num_rows - len(rows)},
                {"kind": "batches"} | options | selection.options,
            )
        )
    if not found:
        others = ", ".join(unit for unit in UNITS if unit != by)
        raise ProfileError(
            f"fewer than {_FEWEST} profiles have a {label} that two {_PLURALS[by]} have; choose"
            f" another --by ({others}) or --label"
        )
    return found


def _mixed(group: Group, by: str, label: str) -> pl.DataFrame:
    """The profiles that count: columns position, label, unit, wells."""
    usable = np.isfinite(group.vectors).all(axis=1) & group.vectors.any(axis=1)
    names = group.metadata.column_names
    if label not in names:
        raise ProfileError(f"the profiles have no {label}")
    missing = pa.nulls(group.metadata.num_rows, pa.string())
    described = {
        name: group.metadata[name] if name in names else missing
        for name in ("plate", "batch", "source", "control_type")
    }
    described |= {
        "position": pa.array(np.arange(len(usable))),
        "label": group.metadata[label].cast(pa.string()),
        "is_usable": pa.array(usable),
    }
    con = scratch(())
    try:
        con.register("compared", pa.table(described))
        rows: pl.DataFrame = con.sql(assets.sql("batches", "mixed"), params={"by": by}).pl()
    finally:
        con.close()
    return rows


def batch_table(scores: Sequence[BatchScore]) -> pl.DataFrame:
    """The scores as a table for people: a row for each."""
    return pl.DataFrame(
        [
            {
                "dataset": s.dataset,
                "model": s.model,
                "normalization": s.normalization,
                "wells": s.wells,
                "by": s.by,
                "mixing": s.found.mixing,
                "95 %": interval(s.found.interval_95),
                f"silhouette {s.label}": s.found.silhouette_label,
                f"silhouette {s.by}": s.found.silhouette_batch,
                "profiles": s.found.num_profiles,
                "batches": s.found.num_batches,
                "trend": s.drift and s.drift.trend,
                "trend p": s.drift and s.drift.p_value,
                "largest shift": s.drift and max(p.shift for p in s.drift.plates),
            }
            for s in scores
        ]
    )


def drift_table(scores: Sequence[BatchScore]) -> pl.DataFrame:
    """The plates of all scores with a drift, as a table for people."""
    return pl.DataFrame(
        [
            {
                "dataset": s.dataset,
                "model": s.model,
                "normalization": s.normalization,
                "number": plate.number,
                "batch": plate.batch,
                "plate": plate.plate,
                "controls": plate.num_controls,
                "shift": plate.shift,
            }
            for s in scores
            if s.drift
            for plate in s.drift.plates
        ]
    )


def _row(score: BatchScore) -> dict[str, Any]:
    """A row of the table `batch_mixing`, without the columns of the question and the run."""
    row = score.as_json()
    row["interval_low"], row["interval_high"] = row.pop("interval_95")
    row["unit"] = row.pop("by")
    drift = row.pop("drift") or {}
    row |= {"trend": drift.get("trend"), "trend_p_value": drift.get("p_value")}
    return row | {"dropped": json.dumps(row["dropped"]), "channels": list(score.channels)}


def _drift_rows(score: BatchScore) -> list[dict[str, Any]]:
    """Rows of the table `batch_drift`, one for each plate."""
    assert score.drift is not None
    names = ("model", "normalization", "dataset", "level")
    same = {name: getattr(score, name) for name in names} | {"channels": list(score.channels)}
    return [same | asdict(plate) for plate in score.drift.plates]
