"""The compounds whose profiles are most like those of one compound.

Shapes: N compared profiles, M of them of the compound, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError
from unidino.core.reasons import WhyNot
from unidino.core.results import Result, Results
from unidino.lake.lake import Lake
from unidino.lake.overlay import to_compute_in
from unidino.profiles.groups import groups
from unidino.profiles.selection import Selection, nothing_fits
from unidino.scores.candidates import Candidates, candidates
from unidino.scores.keys import eligible_block
from unidino.scores.question import Question

_SHOWN = 8


@dataclass(frozen=True)
class NearCompound(Result):
    """A compound near the one that was asked for.

    rank: 1 for the nearest. similarity: mean cosine over the pairs of a profile of either compound
    that the rule allows; num_pairs: their number. moa: of the compound, None if it has none.
    """

    model: str
    normalization: str
    dataset: str
    rank: int
    compound: str
    moa: str | None
    similarity: float
    num_pairs: int


def nearest(
    lake: Lake,
    compound: str,
    selection: Selection | None = None,
    *,
    rule: str = "nsc",
    reading: str = "text",
    num: int = 10,
    opposite: bool = False,
    include_controls: bool = False,
) -> Results[NearCompound]:
    """The compounds nearest to one, for every model and dataset that has it.

    rule, reading: see `Question`; a pair of profiles that the rule excludes does not count, so that
    `nscb` compares wells of different batches only. num: of compounds, at most. opposite: the least
    similar compounds instead. include_controls: negative controls are compared too. Missing
    profiles are computed; a lake that may only be read is left as it is.
    Raises InputError if no dataset has the compound, ProfileError if the rule allows no pair.

    >>> import unidino as ud
    >>> near = ud.nearest(lake, "tiny-01", num=2)
    >>> near.frame.columns
    ['dataset', 'model', 'rank', 'compound', 'moa', 'similarity', 'pairs']
    """
    if num < 1:
        raise InputError(f"--num is {num}; it must be at least 1")
    selection = selection or Selection()
    question = Question(rule, reading, "compound", "none", include_controls=include_controls)
    rows: list[NearCompound] = []
    names: set[str] = set()
    why_not = WhyNot()
    for group in groups(to_compute_in(lake), selection):
        profiled = group.profiled
        names |= {str(n) for n in group.metadata["compound"].to_pylist() if n is not None}
        if compound not in group.metadata["compound"].to_pylist():
            continue
        with why_not.collecting(profiled.title):
            table = near_compounds(group.metadata, group.vectors, compound, question)
            table = table.sort("similarity", "compound", descending=[not opposite, False])
            rows += [
                NearCompound(profiled.model, profiled.normalization, profiled.dataset, rank, **row)
                for rank, row in enumerate(table.head(num).iter_rows(named=True), 1)
            ]
    if names and compound not in names:
        raise InputError(f"no profile is of the compound '{compound}'; {_known(compound, names)}")
    why_not.settle(anything_done=bool(rows), nothing=nothing_fits(selection))
    return Results(rows, near_table)


def near_compounds(
    metadata: Any, vectors: NDArray[Any], compound: str, question: Question
) -> pl.DataFrame:
    """A row for every other compound, without a lake.

    Columns compound, moa, similarity (mean cosine over the allowed pairs), num_pairs. Compounds
    without an allowed pair are left out. metadata, vectors: see `candidates`. question: its label
    is `compound`.
    Raises ProfileError if the compound has no usable profile, or the rule allows no pair.
    """
    found = candidates(metadata, vectors, question)
    of_query = np.flatnonzero(found.names == compound)
    if not len(of_query):
        raise ProfileError(
            f"no profile of '{compound}' can be compared: it is a control (--include-controls), an"
            " empty well, or has missing features"
        )
    unit = vectors[found.positions].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    sums, counts = _sums(unit, found, of_query)
    names = dict(zip(found.labels.tolist(), found.names.tolist(), strict=True))
    moas = _mechanisms(metadata, found.positions, found.names)
    rows = [
        {
            "compound": name,
            "moa": moas.get(name),
            "similarity": sums[label] / counts[label],
            "num_pairs": int(counts[label]),
        }
        for label, name in names.items()
        if name != compound and counts[label]
    ]
    if not rows:
        raise ProfileError(
            f"{question.rule} allows no profile of another compound beside '{compound}'"
        )
    return pl.DataFrame(rows, schema_overrides={"moa": pl.String})


def _sums(
    unit: NDArray[np.float64], found: Candidates, of_query: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of the allowed cosines by label, and the numbers of allowed pairs."""
    size = int(found.labels.max()) + 1
    sums, counts = np.zeros(size), np.zeros(size)
    for query in of_query:
        allowed = eligible_block(found.keys, slice(query, query + 1), len(unit))[0]
        labels = found.labels[allowed]
        sums += np.bincount(labels, unit[allowed] @ unit[query], minlength=size)
        counts += np.bincount(labels, minlength=size)
    return sums, counts


def _mechanisms(metadata: Any, positions: NDArray[np.int64], names: NDArray[Any]) -> dict[str, str]:
    """The mechanism of each compound; several different ones are joined by ` | `."""
    frame = metadata if isinstance(metadata, pl.DataFrame) else pl.DataFrame(metadata)
    if "moa" not in frame.columns:
        return {}
    moas = frame["moa"][positions]
    told = pl.DataFrame({"compound": names.astype(str), "moa": moas}).drop_nulls()
    joined = told.group_by("compound").agg(pl.col("moa").unique().sort().str.join(" | "))
    return dict(joined.iter_rows())


def _known(compound: str, names: set[str]) -> str:
    """What the lake has instead of an unknown compound."""
    ordered = sorted(names)
    alike = [n for n in ordered if n.lower() == compound.lower()]
    alike = alike or get_close_matches(compound, ordered, _SHOWN)
    if alike:
        return f"did you mean {', '.join(alike)}?"
    more = ", ..." if len(ordered) > _SHOWN else ""
    return f"there are {', '.join(ordered[:_SHOWN])}{more}"


def near_table(rows: Sequence[NearCompound]) -> pl.DataFrame:
    """The compounds as a table for people."""
    return pl.DataFrame(
        [
            {
                "dataset": r.dataset,
                "model": r.model,
                "rank": r.rank,
                "compound": r.compound,
                "moa": r.moa,
                "similarity": r.similarity,
                "pairs": r.num_pairs,
            }
            for r in rows
        ],
        schema_overrides={"moa": pl.String},
    )
