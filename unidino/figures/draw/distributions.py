"""Figure of the similarity of pairs of profiles: replicates and others, within and across batches.

Shapes: N profiles, D features, P pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import (
    COLOURS,
    DASHES,
    MM,
    WIDTH_MM,
    Key,
    new_figure,
    set_title,
    styled,
)

_MOST_PAIRS = 200_000
_FEW_PAIRS = 4_000_000
_BLOCK = 16_384


@dataclass(frozen=True)
class PairGroup:
    """Cosine similarities of pairs of profiles of one kind.

    cosines: (P,), of at most 200,000 pairs drawn at random from num_pairs.
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
    """Cosines of pairs of the same and of different compounds, split by batch if batches are given.

    vectors: (N, D). Profiles without a compound (or batch), with a missing value or with only zeros
    are left out. Of each kind at most 200,000 pairs are drawn.
    Raises ProfileError if no two profiles have the same compound, or all have the same.
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
        raise ProfileError("all profiles have the same compound; no pair differs")
    if batches is not None and len({g.name.partition(", ")[2] for g in groups}) < 2:
        raise ProfileError("all profiles have the same batch; see `unidino plot replicates`")
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
    """Pairs (P,), (P,) of a kind, a random part if there are many, and how many there are."""
    num = len(compound)
    both = np.stack([compound, batch]) if batch is not None else compound[None]
    in_both = _num_pairs_of_equals(both)
    in_compound = _num_pairs_of_equals(compound[None])
    in_batch = _num_pairs_of_equals(batch[None]) if batch is not None else 0
    num_pairs = num * (num - 1) // 2
    total = {
        (True, None): in_compound,
        (False, None): num_pairs - in_compound,
        (True, True): in_both,
        (True, False): in_compound - in_both,
        (False, True): in_batch - in_both,
        (False, False): num_pairs - in_compound - in_batch + in_both,
    }[same, together]

    def fits(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
        chosen: NDArray[np.bool_] = (compound[a] == compound[b]) == same
        if together is not None and batch is not None:
            chosen &= (batch[a] == batch[b]) == together
        return chosen

    if total == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), 0
    if num_pairs <= _FEW_PAIRS:
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
    """200,000 pairs that fit, drawn at random with replacement."""
    found: list[NDArray[np.int64]] = []
    while sum(f.shape[1] for f in found) < _MOST_PAIRS:
        drawn = rng.integers(num, size=(2, _MOST_PAIRS))
        drawn = drawn[:, drawn[0] != drawn[1]]
        found.append(drawn[:, fits(drawn[0], drawn[1])])
    both = np.concatenate(found, axis=1)[:, :_MOST_PAIRS]
    return both[0], both[1]


def separation(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float:
    """Probability that a value of `higher` exceeds one of `lower`; ties count half."""
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left").sum()
    not_above = np.searchsorted(ordered, higher, "right").sum()
    return float((below + not_above) / 2 / (len(higher) * len(lower)))


def pair_distributions(
    panels: Mapping[str, Sequence[PairGroup]], *, width_mm: float = WIDTH_MM
) -> Figure:
    """Distributions of the cosine similarity of pairs of profiles, one panel for each entry.

    Triangles mark medians. The title gives the probability that two profiles of one compound are
    more similar than two of different compounds; with batches, for pairs across batches.
    Raises ProfileError if there is no panel.
    """
    if not panels:
        raise ProfileError("no profiles to compare; run `unidino profile`")
    names = list(dict.fromkeys(g.name for groups in panels.values() for g in groups))
    with styled():
        style = {
            n: {
                "color": COLOURS[0] if n.startswith("same compound") else COLOURS[5],
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
            set_title(axes, room, title, _separation_text(groups))
            axes.tick_params(labelbottom=True)
            if i >= len(panels) - across:
                axes.set_xlabel("cosine similarity of two profiles")
        key.draw(figure)
    return figure


def _separation_text(groups: Sequence[PairGroup]) -> str:
    by_name = {g.name: g.cosines for g in groups}
    for tail in (", different batches", ""):
        same, other = by_name.get(f"same compound{tail}"), by_name.get(f"different compounds{tail}")
        if same is not None and other is not None:
            pairs = " across batches" if tail else ""
            return f"replicates are nearer{pairs}: {100 * separation(same, other):.1f} %"
    return "no compound is in two batches"
