"""Profiles of wells in memory: their points in a plane, and the neighbours of one well.

Shapes: N profiles, D features.
"""

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from unidino.core import assets
from unidino.core.errors import ProfileError, choose
from unidino.insight.points import points_of
from unidino.insight.projection import look_up_points
from unidino.lake.lake import Lake
from unidino.profiles.files import load
from unidino.profiles.groups import by_channels, vectors_of
from unidino.scores.candidates import Candidates, candidates
from unidino.scores.neighbours import nearest_to
from unidino.scores.question import Question

Among = Literal["all", "scored"]
AMONG: tuple[Among, ...] = get_args(Among)
_MOST_QUESTIONS = 8
_BLOCK = 4096


@dataclass(frozen=True)
class ProfileFile:
    """A file of well profiles of one dataset."""

    model: str
    normalization: str
    dataset: str
    uri: str
    sha256: str


def files_of_wells(lake: Lake) -> list[ProfileFile]:
    """Every file of well profiles in the lake."""
    rows = lake.look_up(assets.sql("queries", "explored_profile"))
    return [ProfileFile(**row) for row in rows.iter_rows(named=True)]


@dataclass
class ProfileSet:
    """Profiles that have the same channels.

    metadata: N rows; vectors: (N, D); norms: (N,). row: row of each plate and well.
    """

    channels: tuple[str, ...]
    metadata: pa.Table
    vectors: NDArray[Any]
    norms: NDArray[np.float64]
    row: dict[tuple[str, str], int]
    _candidates_of: dict[tuple[Question, str], Candidates] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def neighbours(
        self, plate: str, well: str, question: Question, *, among: str = "all", k: int = 6
    ) -> pl.DataFrame:
        """The nearest wells that the rule of the question allows, nearest first.

        among: `scored` for the wells that the question scores, or `all` for every well with a
        non-zero profile, also controls and wells without a label.
        Columns: plate, well, similarity (cosine), label, is_same_label (NULL without a label).
        Raises ProfileError if the well has no profile or is not among these wells, UnidinoError for
        another value of `among`.
        """
        choose("wells", among, AMONG)
        if (plate, well) not in self.row:
            raise ProfileError(f"{plate} {well} has no profile of this model")
        allowed = self._candidates(question, among)
        query = self.row[plate, well]
        nth = int(np.searchsorted(allowed.positions, query))
        if allowed.positions[min(nth, len(allowed.positions) - 1)] != query:
            raise ProfileError(
                f"{plate} {well} is not scored by {question.label} (it is a control, or no other"
                " well could match it); look among all wells"
                if among == "scored"
                else f"{plate} {well} has no neighbours: its profile has only zeros or missing"
                " features, or the well is empty"
            )
        rows, similarity = nearest_to(
            self.vectors, self.norms, allowed.keys, query, k=k, among=allowed.positions
        )
        names = pl.Series(
            "label", allowed.names[np.searchsorted(allowed.positions, rows)].tolist(), pl.String
        )
        wanted = allowed.names[nth]
        same = [None if n is None or wanted is None else n == wanted for n in names]
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

    def _candidates(self, question: Question, among: str) -> Candidates:
        """The wells that may be neighbours, with their keys under the rule."""
        with self._lock:
            if (question, among) not in self._candidates_of:
                while len(self._candidates_of) >= _MOST_QUESTIONS:
                    self._candidates_of.pop(next(iter(self._candidates_of)))
                is_all = among == "all"
                compared = (
                    replace(question, include_controls=True, label_filter="none")
                    if is_all
                    else question
                )
                self._candidates_of[question, among] = candidates(
                    self.metadata, self.vectors, compared, keep_unlabelled=is_all
                )
            return self._candidates_of[question, among]


def read_sets(lake: Lake, file: ProfileFile) -> list[ProfileSet]:
    """Profiles of a file, one set for each set of channels, the largest first."""
    table = load(lake, file.model, file.normalization, "well", file.dataset)
    sets = []
    for channels, group in by_channels(table):
        vectors = np.ascontiguousarray(vectors_of(group, channels))
        metadata = group.drop_columns(["embedding"])
        keys = zip(metadata["plate"].to_pylist(), metadata["well"].to_pylist(), strict=True)
        row = {key: i for i, key in enumerate(keys)}
        sets.append(ProfileSet(tuple(channels), metadata, vectors, _norms(vectors), row))
    return sorted(sets, key=lambda s: -len(s.vectors))


def _norms(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Norms (N,) in float64, block by block to save memory."""
    norms = np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        rows = vectors[start : start + _BLOCK].astype(np.float64)
        norms[start : start + _BLOCK] = np.linalg.norm(rows, axis=1)
    return norms


def stored_points(
    lake: Lake, file: ProfileFile, method: str
) -> dict[tuple[str, ...], pl.DataFrame] | None:
    """Points of profiles by channels: plate, well, x, y; None if the lake has none."""
    table = look_up_points(lake, file.uri, method)
    if table is None:
        return None
    points: Any = pl.from_arrow(table.select(["plate", "well", "channels", "x", "y"]))
    return {
        tuple(channels): points.filter(pl.col("channels") == channels).drop("channels")
        for channels in points["channels"].unique().to_list()
    }


def principal_points(profiles: ProfileSet) -> pl.DataFrame:
    """Points of profiles on their two principal axes: plate, well, x, y.

    Profiles with missing features are left out.
    Raises ProfileError if every profile has missing features.
    """
    finite = np.isfinite(profiles.norms)
    if not finite.any():
        raise ProfileError("every profile has missing features, so no map can be drawn")
    xy = points_of(profiles.vectors if finite.all() else profiles.vectors[finite], "pca")
    keys: Any = pl.from_arrow(profiles.metadata.select(["plate", "well"]).filter(pa.array(finite)))
    points: pl.DataFrame = keys.with_columns(x=xy[:, 0], y=xy[:, 1])
    return points
