"""Assay quality: are controls apart, do replicates agree, does the place of a well matter, which
wells and images are out.

Shapes: N wells, D features.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from unidino.core import assets
from unidino.core.account import listed
from unidino.core.errors import InputError, choose
from unidino.core.log import log
from unidino.core.results import as_html, as_text
from unidino.core.sql import scratch
from unidino.core.wells import well_place
from unidino.insight.positions import position_effects
from unidino.insight.questions import not_default, question_of
from unidino.insight.replicate_wells import (
    chance_correlation,
    replicate_correlations,
    replicate_distances,
)
from unidino.insight.separation import on_control_axis
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.models.registry import load_config
from unidino.profiles.groups import Group, groups
from unidino.profiles.selection import Selection

Row = dict[str, Any]
Shapes = dict[str, tuple[int, int]]  # rows and columns of plates
LIMIT = 3.5  # of modified z-scores, after Iglewicz & Hoaglin 1993
_SEPARATIONS = {"z_prime": 0.0, "robust_z_prime": 0.0, "ssmd": 1.0, "robust_ssmd": 1.0}
_CHANCE = 0.05
_BASELINES = ("random", "counts")
_WELLS = ("outlier_wells", "few_cells")


@dataclass(frozen=True)
class AssayQuality:
    """Figures of assay quality.

    rows: as in the table `quality`, without question and run. frame: a row for each plate and
    model.
    """

    rows: pl.DataFrame
    frame: pl.DataFrame

    @property
    def flagged(self) -> pl.DataFrame:
        """What is flagged: figures of plates, wells and images, without columns that are empty."""
        found = self.rows.filter(pl.col("is_flagged")).drop("is_flagged", "reason")
        return found[[c.name for c in found if c.null_count() < len(found)]]

    def for_people(self) -> pl.DataFrame:
        """The frame without empty columns and without notes, which are logged."""
        kept = [c.name for c in self.frame if c.null_count() < len(self.frame)]
        return self.frame.select(kept).drop("notes", strict=False)

    def __str__(self) -> str:
        return as_text(self.for_people())

    def _repr_html_(self) -> str:
        return as_html(self.for_people())


def quality(
    lake: Lake,
    selection: Selection | None = None,
    *,
    plates: Sequence[str] = (),
    few_cells: float = 0.25,
    seed: int = 0,
) -> AssayQuality:
    """How good each plate is; the figures land in the table `quality`.

    For each model, its channels, cell counts and image intensities: Z' and SSMD of each positive
    control, also robust; effects of row, column and edge on the negative controls; for each model
    the correlation of replicates and the wells far from theirs; wells with few cells; blurred, dim
    and bright images. What cannot be said of a plate says why.
    selection: models, datasets and normalization; default: every model with profiles, but random
    ones and counts. plates: names; default: all. few_cells: share of the negative controls' median
    below which a well has few. seed: of permutations and random pairs.
    Raises InputError if the lake has no wells, UnidinoError for an unknown name.

    >>> import unidino as ud
    >>> found = ud.quality(lake, ud.Selection(models=["gaussian"]))
    >>> found.frame.select("plate", "negative", "z_prime").rows()
    [('tiny_b1_p1', 2, None), ('tiny_b2_p1', 2, None)]
    """
    run = Run.of("quality", locals())
    others = not_default(quality, {"few_cells": few_cells, "seed": seed})
    if not 0 < few_cells < 1:
        raise InputError(f"few_cells is {few_cells}; it must be a share between 0 and 1")
    selection = selection or Selection()
    shapes = _plates(lake, selection, (plates,) if isinstance(plates, str) else plates)
    rows = _of_wells_and_images(lake, shapes, few_cells, seed)
    for model in selection.models or _models(lake):
        for group in groups(lake, replace(selection, models=(model,), level="well")):
            rows += _of_profiles(group, shapes, seed)
    _adjust(rows)
    question = question_of("quality", selection, {"level": "well"}, others)
    if lake.is_writable:
        land_answers(lake, run, "quality", [(question, rows)])
    _say(rows)
    frame = pl.DataFrame(rows, infer_schema_length=None).sort(
        "dataset", "plate", "model", "subject", "channel", "measure", "axis", "well", "field"
    )
    return AssayQuality(frame, summary(rows))


def summary(rows: Sequence[Row]) -> pl.DataFrame:
    """The rows as a table with a row for each plate and model."""
    con = scratch()
    try:
        con.register("latest_quality", pl.DataFrame(rows, infer_schema_length=None).to_arrow())
        return pl.DataFrame(con.sql(assets.sql("queries", "quality_summary")).to_arrow_table())
    finally:
        con.close()


def _plates(lake: Lake, selection: Selection, plates: Sequence[str]) -> Shapes:
    """Numbers of rows and columns of the chosen plates."""
    known = lake.look_up("select plate_id, dataset, num_rows, num_columns from plate order by all")
    for plate in plates:
        choose("plate", plate, known["plate_id"].to_list())
    for dataset in selection.datasets:
        choose("dataset", dataset, sorted(set(known["dataset"])))
    found = {
        plate: (num_rows, num_columns)
        for plate, dataset, num_rows, num_columns in known.iter_rows()
        if (not plates or plate in plates)
        and (not selection.datasets or dataset in selection.datasets)
    }
    if not found:
        raise InputError("the lake has no plates; run `unidino ingest PATH` or `import-profiles`")
    return found


def _models(lake: Lake) -> list[str]:
    """Models with profiles of wells that say something of them."""
    embedded = lake.look_up(assets.sql("queries", "embedded_dataset"))
    names = embedded.filter(pl.col("kind") == "embedding")["model"].unique(maintain_order=True)
    return [m for m in names if load_config(lake, m).traits.source not in _BASELINES]


def _row(dataset: str, plate: str, subject: str, measure: str, **more: Any) -> Row:
    """A row of the table `quality`; columns that are not given are NULL."""
    empty = dict.fromkeys(
        ("well", "field", "model", "normalization", "channel", "axis", "value", "threshold")
    ) | dict.fromkeys(("p_value", "q_value", "num_positive", "reason"))
    told = {"dataset": dataset, "plate": plate, "subject": subject, "measure": measure}
    return told | empty | {"n": 0, "is_flagged": False} | more


def _of_wells_and_images(lake: Lake, shapes: Shapes, few_cells: float, seed: int) -> list[Row]:
    """Figures of cell counts and images, and what is flagged."""
    values = lake.look_up(assets.sql("quality", "well_value"), {"plates": list(shapes)})
    rows = _separations(_control_values(values))
    for key, of_plate in values.group_by(
        "dataset", "plate", "subject", "channel", maintain_order=True
    ):
        dataset, plate, subject, channel = map(_text, key)
        negative = of_plate.filter(pl.col("control_type") == "negcon").drop_nulls("value")
        rows += _positions(
            _row(dataset or "", plate or "", subject or "", "row_effect", channel=channel),
            negative["well"].to_list(),
            negative["value"].to_numpy()[:, None],
            shapes[plate or ""],
            seed,
        )
    cells = lake.look_up(
        assets.sql("quality", "few_cells"), {"plates": list(shapes), "share": few_cells}
    )
    rows += _flags(cells.with_columns(subject=pl.lit("num_cells"), measure=pl.lit("few_cells")))
    images = lake.look_up(
        assets.sql("quality", "flagged_image"), {"plates": list(shapes), "limit": LIMIT}
    )
    return rows + _flags(images.rename({"score": "value"}).with_columns(threshold=pl.lit(LIMIT)))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _control_values(values: pl.DataFrame) -> list[Row]:
    """Values of controls in the columns that `control_separation.sql` reads."""
    found = []
    keys = ("dataset", "plate", "subject", "channel")
    for key, rows in values.group_by(*keys, maintain_order=True):
        named = dict(zip(keys, key, strict=True)) | {"model": None, "normalization": None}
        by_control = _by_control(rows["control_type"].to_list(), rows["compound"].to_list())
        of_wells = rows["value"].to_numpy()
        for axis, (negative, positive) in by_control.items():
            for kind, members in (("negcon", negative), ("poscon", positive)):
                found += [
                    named | {"axis": axis, "control_type": kind, "value": float(of_wells[i])}
                    for i in members
                ]
            if not negative and not positive:
                found.append(named | {"axis": None, "control_type": None, "value": None})
    return found


def _by_control(
    control_types: Sequence[str | None], compounds: Sequence[str | None]
) -> dict[str | None, tuple[list[int], list[int]]]:
    """Positions of negative and positive controls, by positive control; None if there is none."""
    negative = [i for i, kind in enumerate(control_types) if kind == "negcon"]
    positive: dict[str | None, list[int]] = defaultdict(list)
    for i, kind in enumerate(control_types):
        if kind == "poscon":
            positive[compounds[i] or "positive control"].append(i)
    if not positive:
        return {None: (negative, [])}
    return {axis: (negative, members) for axis, members in positive.items()}


_VALUE_TYPES = {
    **dict.fromkeys(("dataset", "plate", "model", "normalization", "subject"), pl.String),
    **dict.fromkeys(("channel", "axis", "control_type"), pl.String),
    "value": pl.Float64,
}


def _separations(values: Sequence[Row]) -> list[Row]:
    """Z' and SSMD of the values of controls, in four rows for each axis."""
    con = scratch()
    try:
        frame = pl.DataFrame(values, schema=_VALUE_TYPES)
        con.register("control_value", frame.to_arrow())
        found = con.sql(assets.sql("quality", "control_separation")).to_arrow_table().to_pylist()
    finally:
        con.close()
    rows = []
    for one in found:
        shared = {k: one[k] for k in ("model", "normalization", "channel", "axis", "num_positive")}
        for measure, limit in _SEPARATIONS.items():
            value = None if one["reason"] else one[measure]
            reason = one["reason"] or (None if value is not None else "the controls do not vary")
            size = None if value is None else abs(value) if "ssmd" in measure else value
            rows.append(
                _row(
                    one["dataset"],
                    one["plate"],
                    one["subject"],
                    measure,
                    **shared,
                    n=one["num_negative"],
                    value=value,
                    threshold=limit,
                    is_flagged=size is not None and size < limit,
                    reason=reason,
                )
            )
    return rows


def _positions(
    told: Row,
    wells: Sequence[str],
    values: NDArray[np.float64],
    shape: tuple[int, int],
    seed: int,
) -> list[Row]:
    """Effects of row, column and edge. told: a row with what they share. wells: names (N,)."""
    places = np.array([well_place(well) for well in wells], dtype=np.int64).reshape(-1, 2)
    return [
        told
        | {
            "measure": f"{effect.kind}_effect",
            "value": effect.share,
            "p_value": effect.p_value,
            "n": len(wells),
            "reason": effect.reason and f"negative controls, {effect.kind}: {effect.reason}",
        }
        for effect in position_effects(values, *places.T, shape, seed=seed)
    ]


def _flags(found: pl.DataFrame) -> list[Row]:
    """The flagged rows, and how many there are of each plate, channel and measure."""
    if found.is_empty():
        return []
    kept = [c for c in ("well", "field", "channel", "value", "threshold") if c in found.columns]
    rows = [
        _row(r["dataset"], r["plate"], r["subject"], r["measure"], n=1, is_flagged=True)
        | {c: r[c] for c in kept}
        for r in found.filter(pl.col("is_flagged")).to_dicts()
    ]
    if "channel" not in found.columns:
        found = found.with_columns(channel=pl.lit(None, pl.String))
    measures = {"focus": ("blurred",), "intensity": ("dim", "bright"), "num_cells": ("few_cells",)}
    for (dataset, plate, subject, channel), some in found.group_by(
        "dataset", "plate", "subject", "channel", maintain_order=True
    ):
        for measure in measures[str(subject)]:
            num = some.filter(pl.col("is_flagged") & (pl.col("measure") == measure)).height
            rows.append(
                _row(str(dataset), str(plate), str(subject), measure, channel=_text(channel))
                | {"value": float(num), "n": some.height, "is_flagged": num > 0}
            )
    return rows


def _of_profiles(group: Group, shapes: Shapes, seed: int) -> list[Row]:
    """Figures of the profiles of one model, dataset and set of channels."""
    of_group = pl.DataFrame(group.metadata)
    finite = np.isfinite(group.vectors).all(axis=1) if group.vectors.size else np.zeros(0, bool)
    if not finite.any():  # single features are missing; the wells are kept without these
        good = np.isfinite(group.vectors).any(axis=0)
        return [] if not good.any() else _of_matrix(group, of_group, shapes, good, seed)
    return _of_matrix(group, of_group, shapes, np.ones(group.vectors.shape[1], bool), seed)


def _of_matrix(
    group: Group, wells: pl.DataFrame, shapes: Shapes, features: NDArray[np.bool_], seed: int
) -> list[Row]:
    vectors = group.vectors.astype(np.float64)
    whole = np.isfinite(vectors[:, features]).all(axis=1)
    wells, vectors = wells.filter(pl.Series(whole)), vectors[whole]
    labels = list(map(_label, wells.iter_rows(named=True)))
    told = {"model": group.profiled.model, "normalization": group.profiled.normalization}
    dataset = group.profiled.dataset
    rows: list[Row] = []
    correlations = replicate_correlations(vectors[:, features], labels)
    chance = chance_correlation(vectors[:, features], labels, seed=seed)
    outliers = _outliers(wells, labels, replicate_distances(vectors[:, features], labels))
    slices = _slices(group, features)
    values: list[Row] = []
    for (plate,), of_plate in wells.with_row_index("_at").group_by("plate", maintain_order=True):
        if plate not in shapes:
            continue
        at = of_plate["_at"].to_numpy()
        kinds = of_plate["control_type"].to_list()
        for channel, chosen in slices.items():
            named = told | {"dataset": dataset, "plate": plate, "subject": "profile"}
            named["channel"] = channel
            by_control = _by_control(kinds, of_plate["compound"].to_list())
            for axis, (negative, positive) in by_control.items():
                values += _on_axis(named, axis, vectors[at][:, chosen], negative, positive)
        row = _row(dataset, str(plate), "profile", "row_effect", **told)
        negative = of_plate.with_row_index("_in").filter(pl.col("control_type") == "negcon")
        alike = vectors[negative["_at"].to_numpy()][:, features]
        rows += _positions(row, negative["well"].to_list(), alike, shapes[str(plate)], seed)
        rows += _replicates(row, correlations[at], kinds, chance)
        rows += _far(row, outliers.filter(pl.col("plate") == plate))
    return rows + _separations(values)


def _label(well: Row) -> tuple[Any, ...] | None:
    """What replicates have in common: treatment; negative controls also the plate."""
    if well["control_type"] == "negcon":
        return ("negcon", well["plate"], well["compound"])
    if well["compound"] is None or well["control_type"] == "empty":
        return None
    return (well["compound"], well["concentration_um"], well["cell_line"])


def _slices(group: Group, features: NDArray[np.bool_]) -> dict[str | None, NDArray[np.bool_]]:
    """Features of all channels (None), and of each channel if there are several."""
    slices: dict[str | None, NDArray[np.bool_]] = {None: features}
    num = len(group.channels)
    if num > 1:
        each = len(features) // num
        for i, channel in enumerate(group.channels):
            chosen = np.zeros_like(features)
            chosen[i * each : (i + 1) * each] = True
            slices[channel] = chosen & features
    return slices


def _on_axis(
    named: Row,
    axis: str | None,
    vectors: NDArray[np.float64],
    negative: Sequence[int],
    positive: Sequence[int],
) -> Iterator[Row]:
    """Values of controls on their axis; without both sides only how many there are."""
    if negative and positive:
        low, high = on_control_axis(vectors[list(negative)], vectors[list(positive)])
    else:
        low, high = np.zeros(len(negative)), np.zeros(len(positive))
    for kind, found in (("negcon", low), ("poscon", high)):
        for value in found:
            yield named | {"axis": axis, "control_type": kind, "value": float(value)}
    if not negative and not positive:
        yield named | {"axis": None, "control_type": None, "value": None}


def _replicates(
    told: Row, correlations: NDArray[np.float64], kinds: Sequence[str | None], chance: float | None
) -> list[Row]:
    """Correlation of the treated wells of a plate with their replicates."""
    treated = np.array([kind in ("trt", None) for kind in kinds], dtype=bool)
    known = correlations[treated & np.isfinite(correlations)]
    lone = int(treated.sum()) - len(known)
    reason = None
    if not len(known):
        reason = "no treated well has a replicate" if treated.any() else "no treated wells"
    elif chance is None:
        reason = "all wells have one label: no pairs to compare replicates with"
    share = float((known > chance).mean()) if len(known) and chance is not None else None
    shared = {"n": len(known), "reason": reason}
    if lone and len(known):
        log.info(f"plate {told['plate']}: {lone} treated wells have no replicate")
    return [
        told
        | shared
        | {
            "measure": "replicate_correlation",
            "value": None if reason else float(np.median(known)),
            "threshold": chance,
        },
        told
        | shared
        | {
            "measure": "percent_replicating",
            "value": None if share is None else 100 * share,
            "threshold": 100 * _CHANCE,
            "is_flagged": share is not None and share <= _CHANCE,
        },
    ]


def _outliers(
    wells: pl.DataFrame, labels: Sequence[object], distances: NDArray[np.float64]
) -> pl.DataFrame:
    """Wells with a distance to their replicates, and how far out it is."""
    frame = wells.select(
        "plate", "well", is_control=pl.col("control_type") == "negcon"
    ).with_columns(
        distance=pl.Series(distances),
        label=pl.Series([None if name is None else str(name) for name in labels], dtype=pl.String),
        is_control=pl.col("is_control").fill_null(False),
    )
    con = scratch()
    try:
        con.register("replicate_distance", frame.drop_nans("distance").to_arrow())
        query = assets.sql("quality", "outlier_well")
        return pl.DataFrame(con.sql(query, params={"limit": LIMIT}).to_arrow_table())
    finally:
        con.close()


def _far(told: Row, judged: pl.DataFrame) -> list[Row]:
    """The wells of a plate that are far from their replicates, and their number."""
    judged = judged.drop_nulls("value")
    flagged = judged.filter(pl.col("is_flagged"))
    measure = {"measure": "outlier_wells", "threshold": LIMIT}
    rows = [
        told | measure | {"well": well, "value": value, "n": 1, "is_flagged": True}
        for well, value in flagged.select("well", "value").iter_rows()
    ]
    if judged.is_empty():
        why = "fewer than 8 wells of the dataset have replicates"
        return [told | measure | {"reason": why}]
    total = {"value": float(len(flagged)), "n": len(judged), "is_flagged": len(flagged) > 0}
    return [*rows, told | measure | total]


def _adjust(rows: Sequence[Row]) -> None:
    """Fill q-values of the position effects, and flag those below 0.05."""
    tested = [row for row in rows if row["p_value"] is not None]
    if tested:
        adjusted = false_discovery_control([row["p_value"] for row in tested])
        for row, q_value in zip(tested, adjusted, strict=True):
            row["q_value"] = float(min(1.0, q_value))
            row["is_flagged"] = row["q_value"] < _CHANCE


def _say(rows: Sequence[Row]) -> None:
    """Log why figures are missing, each reason once."""
    plates: dict[str, list[str]] = {}
    for row in rows:
        if row["reason"]:
            named = plates.setdefault(row["reason"], [])
            if row["plate"] not in named:
                named.append(row["plate"])
    for reason, names in plates.items():
        log.warning(f"{listed(names, 3)}: {reason}")
