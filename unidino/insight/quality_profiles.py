"""Assay quality of profiles: controls on their axis, replicates, positions, outlier wells.

Shapes: N wells, D features.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.log import log
from unidino.core.sql import scratch
from unidino.insight.quality_rows import (
    LIMIT,
    Row,
    Shapes,
    by_control,
    positions,
    row,
    separations,
)
from unidino.insight.replicate_wells import (
    chance_correlation,
    replicate_correlations,
    replicate_distances,
)
from unidino.insight.separation import on_control_axis
from unidino.profiles.groups import Group

_CHANCE = 0.05


def of_profiles(group: Group, annotation: pl.DataFrame, shapes: Shapes, seed: int) -> list[Row]:
    """Figures of the profiles of one model, dataset and set of channels.

    annotation: what the table of wells says of them now, which may have changed since they were
    computed.
    """
    of_group = pl.DataFrame(group.metadata).select("plate", "well")
    of_group = of_group.join(annotation, on=["plate", "well"], how="left", maintain_order="left")
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
            controls_of = by_control(of_plate)
            for axis, (negative, positive) in controls_of.items():
                values += _on_axis(named, axis, vectors[at][:, chosen], negative, positive)
        told_row = row(dataset, str(plate), "profile", "row_effect", **told)
        controls = of_plate.filter(pl.col("control_type") == "negcon")
        alike = vectors[controls["_at"].to_numpy()][:, features]
        rows += positions(told_row, controls["well"].to_list(), alike, shapes[str(plate)], seed)
        rows += _replicates(told_row, correlations[at], kinds, chance)
        rows += _far(told_row, outliers.filter(pl.col("plate") == plate))
    return rows + separations(values)


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
    con = scratch(())
    try:
        con.register("replicate_distance", frame.drop_nans("distance").to_arrow())
        query = assets.sql("quality", "outlier_well")
        return pl.DataFrame(con.sql(query, params={"most": LIMIT}).to_arrow_table())
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
