"""Profiles of wells held between requests: their points in a plane, and neighbours of one well.

Shapes: N profiles, D features.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import ProfileError
from unidino.insight.points import points_of
from unidino.insight.projection import look_up_points
from unidino.lake.lake import Lake
from unidino.profiles import files
from unidino.profiles.groups import by_channels, vectors_of
from unidino.scores.neighbours import nearest_to
from unidino.scores.rules import Candidates, candidates, default_label, rule_sql

AMONG = ("all", "scored")
_MOST_RULES = 8


@dataclass(frozen=True)
class ProfileFile:
    """A file of well profiles of one dataset."""

    model: str
    normalization: str
    dataset: str
    uri: str
    sha256: str
    num_rows: int


def files_of_wells(lake: Lake) -> list[ProfileFile]:
    """Every file of well profiles in the lake."""
    rows = lake.look_up(assets.sql("queries", "explored_profile"))
    return [ProfileFile(**row) for row in rows.iter_rows(named=True)]


@dataclass
class ProfileSet:
    """Profiles that have the same channels.

    metadata: a row for each; vectors: (N, D); norms: (N,).
    """

    channels: tuple[str, ...]
    metadata: pa.Table
    vectors: NDArray[Any]
    norms: NDArray[np.float64]
    row: dict[tuple[str, str], int]
    _rules: dict[tuple[str, ...], Candidates] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def neighbours(
        self,
        plate: str,
        well: str,
        rule: str,
        *,
        rules: str = "text",
        label: str | None = None,
        among: str = "all",
        k: int = 6,
    ) -> pl.DataFrame:
        """The nearest wells that the rule allows, nearest first.

        among: `scored`, the wells that `unidino score` compares by the label, or `all` that have
        a direction, controls and unlabelled ones too.
        Returns plate, well, similarity (cosine), label, is_same_label (NULL without a label).
        Raises ProfileError if the well has no profile or is not among them, UnidinoError for an
        unknown rule or label.
        """
        if (plate, well) not in self.row:
            raise ProfileError(f"{plate} {well} has no profile of this model")
        own_label = label or default_label(rule)
        found = self._allowed(rule, rules, own_label, among)
        query = self.row[plate, well]
        nth = int(np.searchsorted(found.positions, query))
        if found.positions[min(nth, len(found.positions) - 1)] != query:
            raise ProfileError(
                f"{plate} {well} is not scored by {own_label} (it is a control, or no other"
                " well could match it); look among all wells"
                if among == "scored"
                else f"the profile of {plate} {well} has only zeros or missing features, or the"
                " well is empty: it has no direction and so no neighbours"
            )
        rows, similarity = nearest_to(
            self.vectors, self.norms, found.keys, query, k=k, among=found.positions
        )
        names = pl.Series(
            "label", found.names[np.searchsorted(found.positions, rows)].tolist(), pl.String
        )
        own = found.names[nth]
        same = [None if n is None or own is None else n == own for n in names]
        return pl.DataFrame(
            {
                "plate": self.metadata["plate"].take(pa.array(rows)).to_pylist(),
                "well": self.metadata["well"].take(pa.array(rows)).to_pylist(),
                "similarity": similarity,
                "label": names,
                "is_same_label": pl.Series(same, dtype=pl.Boolean),
            },
            schema_overrides={"plate": pl.String, "well": pl.String},
        )

    def _allowed(self, rule: str, rules: str, label: str, among: str) -> Candidates:
        key = (rule, rules, label, among)
        with self._lock:
            if key not in self._rules:
                scored = among == "scored"
                while len(self._rules) >= _MOST_RULES:
                    self._rules.pop(next(iter(self._rules)))
                self._rules[key] = candidates(
                    self.metadata,
                    self.vectors,
                    label,
                    rule_sql(rule, rules),
                    include_controls=not scored,
                    label_filter="reachable" if scored else "none",
                    unlabelled="drop" if scored else "keep",
                )
            return self._rules[key]

    def similarity(self, plate: str, well: str) -> Mapping[tuple[str, str], float]:
        """Cosine of every profile to that of a well, by plate and well."""
        own = self.row[plate, well]
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = self.vectors @ self.vectors[own] / (self.norms * self.norms[own])
        return dict(zip(self.row, cosine.tolist(), strict=True))


def read_sets(lake: Lake, file: ProfileFile) -> list[ProfileSet]:
    """Profiles of a file, those of different channels apart, the most numerous first."""
    table = files.load(lake, file.model, file.normalization, "well", file.dataset)
    sets = []
    for channels, own in by_channels(table, ()):
        vectors = np.ascontiguousarray(vectors_of(own, channels, ()))
        metadata = own.drop_columns(["embedding"])
        keys = zip(metadata["plate"].to_pylist(), metadata["well"].to_pylist(), strict=True)
        row = {key: i for i, key in enumerate(keys)}
        sets.append(ProfileSet(tuple(channels), metadata, vectors, _norms(vectors), row))
    return sorted(sets, key=lambda s: -len(s.vectors))


def _norms(vectors: NDArray[Any], block: int = 4096) -> NDArray[np.float64]:
    norms = np.empty(len(vectors))
    for start in range(0, len(vectors), block):
        rows = vectors[start : start + block].astype(np.float64)
        norms[start : start + block] = np.linalg.norm(rows, axis=1)
    return norms


def kept_points(
    lake: Lake, file: ProfileFile, method: str
) -> dict[tuple[str, ...], pl.DataFrame] | None:
    """Points of profiles by their channels: plate, well, x, y; None if the lake holds none."""
    table = look_up_points(lake, file.uri, method)
    if table is None:
        return None
    points: Any = pl.from_arrow(table.select(["plate", "well", "channels", "x", "y"]))
    return {
        tuple(channels): points.filter(pl.col("channels") == channels).drop("channels")
        for channels in points["channels"].unique().to_list()
    }


def principal_points(own: ProfileSet) -> pl.DataFrame:
    """Points of a set of profiles by their principal axes: plate, well, x, y.

    Profiles with missing features are left out. Raises ProfileError if that leaves none.
    """
    finite = np.isfinite(own.norms)
    if not finite.any():
        raise ProfileError("every profile has missing features, so none can be drawn")
    xy = points_of(own.vectors if finite.all() else own.vectors[finite], "pca")
    keys: Any = pl.from_arrow(own.metadata.select(["plate", "well"]).filter(pa.array(finite)))
    points: pl.DataFrame = keys.with_columns(x=xy[:, 0], y=xy[:, 1])
    return points
