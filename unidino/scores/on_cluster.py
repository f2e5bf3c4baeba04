"""Scores whose nearest neighbours the workers of a dask cluster find, band by band.

The profiles are cut into bands that fit into the memory of a worker. A task compares two bands, or
one with itself: it reads their vectors from the lake and gives back the pairs that may be nearest.
The choice among the pairs of all tasks is the one that a single process makes, to the last bit.

Shapes: N compared profiles, D features, k neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.core.cluster import carry_out, connected
from unidino.core.errors import InputError
from unidino.core.progress import progress_bar
from unidino.core.reasons import WhyNot
from unidino.core.results import Results
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import stored_groups
from unidino.profiles.selection import Selection, nothing_fits
from unidino.profiles.stored import StoredVectors
from unidino.scores.accuracy import LakeScore, landed, of_lake, score_of
from unidino.scores.candidates import Candidates, candidates_of, directions
from unidino.scores.count_baseline import stand_beside
from unidino.scores.keys import Codes, blocks, count_eligible
from unidino.scores.near_pairs import NearPairs, joined
from unidino.scores.neighbours import Neighbours, near_pairs, unit_vectors
from unidino.scores.question import Asked, questions

_SHARE = 0.5  # of a worker's memory is for the vectors of two bands
_UNLIMITED = 4e9  # bytes for a worker that states no limit
_FEWEST = 1024  # profiles of a band
_TASKS_A_THREAD = 4  # so that all threads end at about the same time
_MANY_PAIRS = 4_000_000


@dataclass(frozen=True)
class _Band:
    """Consecutive candidates, and what a task needs to compare them.

    start: position of the first. keys: of these; see `encode_keys`.
    """

    start: int
    vectors: StoredVectors
    keys: list[Codes]


def score_on_cluster(
    lake: Lake,
    asked: Asked,
    selection: Selection | None = None,
    *,
    scheduler: str,
    device: str = "cpu",
) -> Results[LakeScore]:
    """The scores that `score` computes; the workers of a cluster find the neighbours.

    scheduler: the file or the address of a dask scheduler. device: of every worker; on a GPU, a
    task takes one unit of the resource GPU. Half of the memory limit of a worker is for the vectors
    of two bands, shared by its threads; this process holds the other columns of the profiles, and
    the pairs that were found. Missing profiles are computed by this process first.
    Raises InputError if no scheduler answers, if it has no worker, or if its workers have too
    little memory; other errors as of `score`.
    """
    run = Run.of("score", locals())
    selection = selection or Selection()
    asked = questions(asked)
    with connected(scheduler) as client:
        cluster = _Cluster(client, scheduler, device)
        stand_beside(lake, selection)
        scores: list[LakeScore] = []
        why_not = WhyNot()
        for group in stored_groups(lake, selection):
            flags = cluster.directions(group.vectors)
            for question in asked:
                with why_not.collecting(f"{group.profiled.title} is not scored by {question.rule}"):
                    found = candidates_of(group.metadata, *flags, question)
                    title = f"{question.rule} of {group.profiled.title}"
                    neighbours = cluster.nearest(group.vectors, found, question.neighbours, title)
                    figures = score_of(found, neighbours, question)
                    scores.append(of_lake(figures, group, question, selection))
    why_not.settle(anything_done=bool(scores), nothing=nothing_fits(selection))
    return landed(lake, run, scores)


class _Cluster:
    """The workers of a dask cluster, as far as they are needed to compare profiles."""

    def __init__(self, client: Any, scheduler: str, device: str) -> None:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if not workers:
            raise InputError(f"the scheduler '{scheduler}' has no worker; start some")
        self._client, self._device = client, device
        self._num_threads = sum(worker["nthreads"] for worker in workers)
        self._memory = min((w["memory_limit"] or _UNLIMITED) / w["nthreads"] for w in workers)

    def _num_rows(self, vectors: StoredVectors) -> int:
        """Number of profiles of a band: two of them fit into the share of a thread."""
        num_features = vectors.like.shape[1]
        per_profile = num_features * (vectors.like.itemsize + np.dtype(np.float32).itemsize)
        fits = int(_SHARE * self._memory / (2 * per_profile))
        if fits < _FEWEST:
            least = 2 * per_profile * _FEWEST / _SHARE / 1e6
            raise InputError(
                f"a worker has {self._memory / 1e6:.0f} MB for each of its threads, and bands of"
                f" {_FEWEST} profiles of {num_features} features need {least:.0f} MB; start"
                " workers with a larger --memory-limit, or fewer --nthreads"
            )
        num_bands = ceil(sqrt(2 * _TASKS_A_THREAD * self._num_threads))
        return min(fits, max(_FEWEST, ceil(len(vectors) / num_bands)))

    def directions(self, vectors: StoredVectors) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each vector is finite, and whether it is zero: (N,)."""
        is_finite, is_zero = (np.zeros(len(vectors), bool) for _ in range(2))

        def keep(found: tuple[int, NDArray[np.bool_], NDArray[np.bool_]]) -> None:
            start, finite, zero = found
            rows = slice(start, start + len(finite))
            is_finite[rows], is_zero[rows] = finite, zero

        tasks = (
            {"start": rows.start, "vectors": vectors.at(rows)}
            for rows in blocks(len(vectors), self._num_rows(vectors))
        )
        carry_out(self._client, _look, tasks, needs_gpu=False, done=keep, goes_on=False)
        return is_finite, is_zero

    def nearest(self, vectors: StoredVectors, found: Candidates, k: int, title: str) -> Neighbours:
        """The nearest neighbours that `neighbours.nearest` finds. title: for the progress."""
        compared, like = vectors.at(found.positions), vectors.like
        num = len(compared)
        bands = [
            _Band(rows.start, compared.at(rows), [codes[:, rows] for codes in found.keys])
            for rows in blocks(num, self._num_rows(compared))
        ]
        gathered: list[NearPairs] = []
        with progress_bar(title, len(bands) * (len(bands) + 1) // 2, "tasks") as advance:

            def keep(pairs: NearPairs) -> None:
                gathered.append(pairs)
                if sum(map(len, gathered[1:])) > max(_MANY_PAIRS, num * k):
                    gathered[:] = [joined(gathered).few(k)]
                advance(1)

            tasks = (
                {"bands": pair if pair[0] is not pair[1] else pair[:1], "like": like, "k": k}
                | {"device": self._device}
                for pair in combinations_with_replacement(bands, 2)
            )
            is_gpu = self._device.startswith("cuda")
            carry_out(self._client, _compare, tasks, needs_gpu=is_gpu, done=keep, goes_on=False)
        chosen = joined(gathered).nearest(num, k)
        return Neighbours(*chosen, *count_eligible(found.keys, found.labels))


def _look(
    *, start: int, vectors: StoredVectors
) -> tuple[int, NDArray[np.bool_], NDArray[np.bool_]]:
    return start, *directions(vectors.read())


def _compare(*, bands: Sequence[_Band], like: NDArray[Any], k: int, device: str) -> NearPairs:
    """Pairs between two bands, or within one, that may be nearest: by positions of candidates.

    like: (0, D), of the type of the vectors.
    """
    num = sum(len(band.vectors) for band in bands)
    profiles = np.empty((num, like.shape[1]), like.dtype)
    places = np.empty(num, np.int64)
    start = 0
    for band in bands:
        rows = slice(start, start + len(band.vectors))
        band.vectors.read(out=profiles[rows])
        places[rows] = np.arange(band.start, band.start + len(band.vectors))
        start = rows.stop
    keys = [np.concatenate(codes, axis=1) for codes in zip(*(b.keys for b in bands), strict=True)]
    unit, norms = unit_vectors(profiles)
    apart = len(bands[0].vectors) if len(bands) > 1 else None
    pairs = near_pairs(profiles, unit, norms, keys, apart=apart, k=k, device=device)
    return pairs.few(k).placed(places)
