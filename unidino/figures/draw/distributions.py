"""How much alike profiles of one compound are, in one batch and across batches.

Shapes: N profiles, D features, P pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.stats import rankdata

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import COLORS, DASHES, MM, WIDTH_MM, Key, new_figure, styled, titled

_MOST_PAIRS = 200_000
_FEW_PAIRS = 4_000_000
_BLOCK = 16_384


@dataclass(frozen=True)
class PairGroup:
    """Cosines of pairs of profiles of one kind.

    cosines: (P,), of at most 200,000 pairs drawn from num_pairs.
    """

    name: str
    cosines: NDArray[np.float64]
    num_pairs: int


def pair_groups(
    vectors: NDArray[Any],
    compounds: Sequence[str | None],
    batches: Sequence[str | None] | None,
    *,
    seed: int = 0,
) -> list[PairGroup]:
    """Cosines of pairs of the same and of different compounds, split by batch if there are batches.

    vectors: (N, D). Profiles without a compound (or batch), with a missing value or without
    direction count in no pair. Of more than 200,000 pairs of a kind as many are drawn.
    Raises ProfileError if there is no pair of one compound, or none of two.
    """
    usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    usable &= np.array([c is not None for c in compounds], dtype=bool)
    if batches is not None:
        usable &= np.array([b is not None for b in batches], dtype=bool)
    kept = np.flatnonzero(usable)
    unit = vectors[kept].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    compound = np.unique([str(compounds[i]) for i in kept.tolist()], return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    if batches is None:
        kinds = {"same compound": True, "different compounds": False}
        groups = [
            _group(name, unit, compound, None, same, None, rng) for name, same in kinds.items()
        ]
    else:
        batch = np.unique([str(batches[i]) for i in kept.tolist()], return_inverse=True)[1]
        groups = [
            _group(
                f"{'same compound' if same else 'different compounds'},"
                f" {'same batch' if together else 'different batches'}",
                unit,
                compound,
                batch,
                same,
                together,
                rng,
            )
            for same in (True, False)
            for together in (True, False)
        ]
    groups = [g for g in groups if g is not None]
    if not any(g.name.startswith("same") for g in groups):
        raise ProfileError("no compound has two profiles to compare")
    if not any(g.name.startswith("different") for g in groups):
        raise ProfileError("all profiles are of one compound; there is nothing to compare with")
    if batches is not None and len({g.name.partition(", ")[2] for g in groups}) < 2:
        raise ProfileError("all profiles are of one batch; see `unidino plot replicates`")
    return groups


def _group(
    name: str,
    unit: NDArray[np.float64],
    compound: NDArray[Any],
    batch: NDArray[Any] | None,
    same: bool,
    together: bool | None,
    rng: np.random.Generator,
) -> Any:
    a, b, total = _pairs(compound, batch, same=same, together=together, rng=rng)
    if not total:
        return None
    cosines = np.empty(len(a))
    for start in range(0, len(a), _BLOCK):
        part = slice(start, start + _BLOCK)
        cosines[part] = np.einsum("ij,ij->i", unit[a[part]], unit[b[part]])
    return PairGroup(name, np.clip(cosines, -1, 1), total)


def _pairs(
    compound: NDArray[Any],
    batch: NDArray[Any] | None,
    *,
    same: bool,
    together: bool | None,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Pairs (P,), (P,) of a kind, drawn if there are many, and how many there are."""
    num = len(compound)
    own = np.stack([compound, batch]) if batch is not None else compound[None]
    in_both = _num_pairs_of_equals(own)
    in_compound = _num_pairs_of_equals(compound[None])
    in_batch = _num_pairs_of_equals(batch[None]) if batch is not None else 0
    every = num * (num - 1) // 2
    total = {
        (True, None): in_compound,
        (False, None): every - in_compound,
        (True, True): in_both,
        (True, False): in_compound - in_both,
        (False, True): in_batch - in_both,
        (False, False): every - in_compound - in_batch + in_both,
    }[same, together]

    def fits(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
        chosen: NDArray[np.bool_] = (compound[a] == compound[b]) == same
        if together is not None and batch is not None:
            chosen &= (batch[a] == batch[b]) == together
        return chosen

    if total == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), 0
    if every <= _FEW_PAIRS:
        a, b = np.triu_indices(num, 1)
    elif same:
        a, b = _pairs_of_equals(compound)
    elif total > _MOST_PAIRS:
        return *_drawn(num, fits, rng), total
    else:
        a, b = np.triu_indices(num, 1)
    chosen = fits(a, b)
    a, b = a[chosen], b[chosen]
    if len(a) > _MOST_PAIRS:
        drawn = rng.choice(len(a), _MOST_PAIRS, replace=False)
        a, b = a[drawn], b[drawn]
    return a, b, total


def _num_pairs_of_equals(codes: NDArray[Any]) -> int:
    counts = np.unique(codes, axis=1, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _pairs_of_equals(codes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    pairs = [
        (members[a], members[b])
        for members in np.split(order, starts[1:])
        for a, b in [np.triu_indices(len(members), 1)]
    ]
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])


def _drawn(
    num: int, fits: Any, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs drawn at random, with replacement, until there are enough."""
    found: list[NDArray[np.int64]] = []
    while sum(f.shape[1] for f in found) < _MOST_PAIRS:
        drawn = rng.integers(num, size=(2, _MOST_PAIRS))
        drawn = drawn[:, drawn[0] != drawn[1]]
        found.append(drawn[:, fits(drawn[0], drawn[1])])
    both = np.concatenate(found, axis=1)[:, :_MOST_PAIRS]
    return both[0], both[1]


def separation(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float:
    """Probability that a pair of the first kind is more alike than one of the second."""
    ranks = rankdata(np.concatenate([higher, lower]))[: len(higher)]
    wins = ranks.sum() - len(higher) * (len(higher) + 1) / 2
    return float(wins / (len(higher) * len(lower)))


def pair_distributions(
    panels: Mapping[str, Sequence[PairGroup]], *, width_mm: float = WIDTH_MM
) -> Figure:
    """Distributions of cosine similarity of pairs of profiles: a panel for each dataset or model.

    Ticks at the bottom are medians. The title has the probability that two profiles of a compound
    are more alike than two of different ones; with batches, for those of different batches.
    Raises ProfileError if there is no panel.
    """
    if not panels:
        raise ProfileError("no profiles to compare; run `unidino profile`")
    names = list(dict.fromkeys(g.name for groups in panels.values() for g in groups))
    with styled():
        style = {
            n: {
                "color": COLORS[0] if n.startswith("same compound") else COLORS[5],
                "linestyle": DASHES[1 if n.endswith("different batches") else 0],
            }
            for n in names
        }
        key = Key([(Line2D([], [], linewidth=1.4, **style[n]), n) for n in names], width_mm)
        across = 2 if len(panels) > 1 else 1
        down = -(-len(panels) // across)
        figure = new_figure(width_mm, down * 2.05 + key.height_in)
        grid = figure.subplots(down, across, squeeze=False, sharex=True).ravel()
        for axes in grid[len(panels) :]:
            axes.remove()
        lowest = min(float(np.quantile(g.cosines, 0.001)) for gs in panels.values() for g in gs)
        lowest = float(np.floor(lowest * 4) / 4)
        for i, (axes, (title, groups)) in enumerate(zip(grid, panels.items(), strict=False)):
            fewest = min(len(g.cosines) for g in groups)
            bins = np.linspace(lowest, 1, int(np.clip(2.5 * fewest ** (1 / 3), 8, 80)) + 1)
            for group in groups:
                density, _ = np.histogram(group.cosines, bins, density=True)
                axes.stairs(density, bins, linewidth=1.3, **style[group.name])
                axes.plot(
                    np.median(group.cosines),
                    0,
                    "^",
                    color=style[group.name]["color"],
                    markersize=5,
                    clip_on=False,
                    markeredgecolor="white",
                    markeredgewidth=0.4,
                )
            axes.set(xlim=(lowest, 1), ylim=(0, None), yticks=[])
            axes.spines["left"].set_visible(False)
            room = width_mm * MM / across - 0.3
            titled(axes, room, title, _said(groups))
            axes.tick_params(labelbottom=True)
            if i >= len(panels) - across:
                axes.set_xlabel("cosine similarity of two profiles")
        key.draw(figure)
    return figure


def _said(groups: Sequence[PairGroup]) -> str:
    by_name = {g.name: g.cosines for g in groups}
    for tail in (", different batches", ""):
        same, other = by_name.get(f"same compound{tail}"), by_name.get(f"different compounds{tail}")
        if same is not None and other is not None:
            where = " across batches" if tail else ""
            return f"replicates are nearer{where}: {100 * separation(same, other):.1f} %"
    return "no compound is in two batches"
