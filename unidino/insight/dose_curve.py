"""The response of a channel to a compound, as a result."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import polars as pl

from unidino.insight.curves import Curve
from unidino.insight.responses import Wells


@dataclass(frozen=True)
class DoseCurve:
    """The response of one channel to one compound.

    channel: `all` for all channels together, or the name of a feature. ec50_um: dose of half the
    effect; None if the compound is inactive, or if it is outside the tested doses (`beyond` tells
    the side). interval_95: of the EC50; an end that leaves the tested doses is None; no interval if
    none of it is among them.
    lowest_active_um: the lowest tested dose that differs from the controls, as all higher ones do;
    lowest_active_95: its interval. n: wells of the compound. q_value: Benjamini and Hochberg over
    the compounds and channels of a dataset; is_active: it is under 0.05. curve: see `Curve`.
    wells: see `Wells`.
    """

    model: str
    normalization: str
    dataset: str
    level: str
    effect: str
    compound: str
    channel: str
    ec50_um: float | None
    interval_95: tuple[float | None, float | None] | None
    lowest_active_um: float | None
    lowest_active_95: tuple[float | None, float | None] | None
    beyond: str | None
    is_active: bool
    p_value: float
    q_value: float
    r2: float
    n: int
    num_doses: int
    num_controls: int
    curve: Curve = field(repr=False, compare=False)
    wells: Wells = field(repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The response as plain values, without its wells and the points of its curve."""
        values = asdict(replace(self, curve=None, wells=None))  # type: ignore[arg-type]
        of_curve = {"curve": self.curve.kind} | {
            name: getattr(self.curve, name) for name in ("bottom", "top", "slope")
        }
        del values["wells"]
        return values | of_curve

    def as_row(self) -> dict[str, Any]:
        """The row of the table `dose`, without run and question."""
        row = self.as_json()
        for name, ends in (
            ("ec50", row.pop("interval_95")),
            ("lowest_active", row.pop("lowest_active_95")),
        ):
            row[f"{name}_low_um"], row[f"{name}_high_um"] = ends or (None, None)
        treated = ~self.wells.is_control
        return row | {
            "point_um": self.wells.um[treated].tolist(),
            "point_effect": self.wells.effect[treated].tolist(),
            "control_effect": self.wells.effect[~treated].tolist(),
            "curve_um": self.curve.dose_um.tolist(),
            "curve_effect": self.curve.value.tolist(),
            "curve_low": self.curve.low.tolist(),
            "curve_high": self.curve.high.tolist(),
        }


_TESTED = ("at most", "at least")  # the lowest active dose is one of those tested


def dose_table(found: Sequence[DoseCurve]) -> pl.DataFrame:
    """The responses as a table for people: a row for each compound and channel."""
    table = pl.DataFrame(
        [
            {
                "dataset": c.dataset,
                "model": c.model,
                "compound": c.compound,
                "channel": c.channel,
                "EC50 uM": _dose_text(c.ec50_um) or _beyond_text(c),
                "95 %": interval_text(*c.interval_95) if c.interval_95 else "",
                "lowest active uM": _dose_text(c.lowest_active_um),
                "lowest 95 %": interval_text(*c.lowest_active_95, _TESTED)
                if c.lowest_active_95
                else "",
                "top": round(c.curve.top, 3),
                "R2": round(c.r2, 3),
                "q": c.q_value,
                "curve": c.curve.kind,
                "doses": c.num_doses,
                "n": c.n,
            }
            for c in found
        ],
        infer_schema_length=None,
    )
    for name in ("dataset", "model"):
        if not table.is_empty() and table[name].n_unique() == 1:
            table = table.drop(name)
    return table


def _dose_text(um: float | None) -> str:
    return "" if um is None else f"{um:.3g}"


def _beyond_text(c: DoseCurve) -> str:
    return beyond_text(c.wells.doses_um.tolist(), c.beyond) if c.is_active else "inactive"


def beyond_text(doses_um: Sequence[float], beyond: str | None) -> str:
    """An EC50 that lies below or above the tested doses, which ascend."""
    return f"< {doses_um[0]:.3g}" if beyond == "below" else f"> {doses_um[-1]:.3g}"


def interval_text(
    low: float | None, high: float | None, beyond: tuple[str, str] = ("below", "above")
) -> str:
    """An interval of doses in words; an end that is None left the tested doses.

    beyond: words for what is open below and above.
    """
    if low is None and high is None:
        return "any tested dose"
    if low is None or high is None:
        return (
            f"{beyond[0]} {_dose_text(high)}" if low is None else f"{beyond[1]} {_dose_text(low)}"
        )
    return f"{_dose_text(low)}-{_dose_text(high)}"
