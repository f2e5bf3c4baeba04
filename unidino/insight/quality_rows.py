"""Rows of the table `quality` that figures of profiles, images and counts have in common."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.sql import scratch
from unidino.core.wells import well_place
from unidino.insight.positions import position_effects

Row = dict[str, Any]
Shapes = dict[str, tuple[int, int]]  # rows and columns of plates
LIMIT = 3.5  # of modified z-scores, after Iglewicz & Hoaglin 1993
_SEPARATIONS = {"z_prime": 0.0, "robust_z_prime": 0.0, "ssmd": 1.0, "robust_ssmd": 1.0}


def row(dataset: str, plate: str, subject: str, measure: str, **more: Any) -> Row:
    """A row of the table `quality`; columns that are not given are NULL."""
    empty = dict.fromkeys(
        ("well", "field", "model", "normalization", "channel", "axis", "value", "threshold")
    ) | dict.fromkeys(("p_value", "q_value", "num_positive", "reason"))
    told = {"dataset": dataset, "plate": plate, "subject": subject, "measure": measure}
    return told | empty | {"n": 0, "is_flagged": False} | more


def by_control(wells: pl.DataFrame) -> dict[str | None, tuple[list[int], list[int]]]:
    """Positions of negative and positive controls, by positive control; None if there is none.

    wells: with control_type, compound and concentration_um. Doses of a positive control that has
    several are apart.
    """
    kinds = wells["control_type"].to_list()
    negative = [i for i, kind in enumerate(kinds) if kind == "negcon"]
    found = [i for i, kind in enumerate(kinds) if kind == "poscon"]
    names = [wells["compound"][i] or "positive control" for i in found]
    doses = [wells["concentration_um"][i] for i in found]
    positive: dict[str | None, list[int]] = defaultdict(list)
    for i, name, dose in zip(found, names, doses, strict=True):
        of_name = {d for n, d in zip(names, doses, strict=True) if n == name}
        several = len(of_name) > 1 and dose is not None
        positive[f"{name} {dose:g} uM" if several else name].append(i)
    if not positive:
        return {None: (negative, [])}
    return {axis: (negative, members) for axis, members in positive.items()}


_VALUE_TYPES = {
    **dict.fromkeys(("dataset", "plate", "model", "normalization", "subject"), pl.String),
    **dict.fromkeys(("channel", "axis", "control_type"), pl.String),
    "value": pl.Float64,
}


def separations(values: Sequence[Row]) -> list[Row]:
    """Z' and SSMD of the values of controls, in four rows for each axis."""
    con = scratch(())
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
                row(
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


def positions(
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
        for effect in position_effects(values, places[:, 0], places[:, 1], shape, seed=seed)
    ]
