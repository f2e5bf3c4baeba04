"""Figure of which profiles are similar: a correlation matrix in the order of a clustering.

Shapes: N profiles, D features.
Source: Morelli et al. 2025, figure 4 (Pearson correlation, average linkage).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from unidino.core.errors import ProfileError
from unidino.figures.draw.style import (
    MM,
    PALE,
    WIDTH_MM,
    Key,
    colour_pairs,
    label_rows,
    line_height,
    named_classes,
    new_figure,
    styled,
    text_width,
)

MOST_PROFILES = 5_000
_WIDEST_NAME_IN = 1.7
_TALLEST = 1.6  # height over width of the matrix, to make room for names
_TREE_IN, _STRIP_IN = 0.45, 0.22


def correlations(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Pearson correlations (N, N) of vectors (N, D)."""
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.clip(centred @ centred.T, -1, 1))


def average_linkage(similarity: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[int]]:
    """Tree of average linkage on 1 - similarity (N, N), and the order of its N leaves."""
    distance = 1 - (similarity + similarity.T) / 2
    np.fill_diagonal(distance, 0)
    tree: NDArray[np.float64] = linkage(
        squareform(np.maximum(distance, 0), checks=False),
        "average",
        optimal_ordering=len(distance) <= 500,
    )
    return tree, _leaves(tree)


def similarity_map(
    vectors: NDArray[Any],
    names: Sequence[str],
    classes: Sequence[str | None] | None = None,
    *,
    kind: str = "moa",
    what: str = "profiles",
    title: str = "",
    width_mm: float = WIDTH_MM,
) -> Figure:
    """Pearson correlations between profiles with a tree of average linkage and a strip of classes.

    vectors: (N, D). names: of the profiles, shown where they fit. classes: of the profiles; kind:
    name of the classes; what: name of the profiles. With more than eight classes each has two
    colours side by side.
    Raises ProfileError for fewer than two profiles that vary, or more than 5,000.
    """
    varies = np.isfinite(vectors).all(axis=1) & (np.ptp(vectors, axis=1) > 0)
    kept = np.flatnonzero(varies)
    if len(kept) < 2:
        raise ProfileError(f"{len(kept)} of {len(vectors)} {what} can be compared; two are needed")
    if len(kept) > MOST_PROFILES:
        raise ProfileError(
            f"{len(kept)} {what} are too many to compare each with each; choose at most"
            f" {MOST_PROFILES} by --where, or a coarser --level"
        )
    similarity = correlations(vectors[kept])
    tree, order = average_linkage(similarity)
    ordered = [classes[int(kept[i])] if classes else None for i in order]
    with styled():
        known = named_classes(ordered)
        tones = colour_pairs(known)
        entries: list[tuple[Any, str]] = [
            ((Patch(color=left), Patch(color=right)), name) for name, (left, right) in tones.items()
        ]
        if known and (None in ordered or len({*ordered}) > len(known) + 1):
            entries.append(((Patch(color=PALE), Patch(color=PALE)), f"no {kind}, or another"))
        key = Key(entries, width_mm, kind if entries else "")
        shown = [names[int(kept[i])] for i in order]
        name_in = min(_WIDEST_NAME_IN, max(text_width(n) for n in shown) + 0.08)
        side = min(4.9, width_mm * MM - _TREE_IN - _STRIP_IN - 0.75)
        height = side
        if fits := len(shown) * line_height() <= _TALLEST * (side - name_in):
            side -= name_in
            height = max(side, len(shown) * line_height())
        figure = new_figure(width_mm, height + 0.55 + key.height_in)
        widths = [_TREE_IN, *([_STRIP_IN] if known else []), side]
        panels = list(figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0])
        _draw_tree(panels[0], tree, len(shown))
        if known:
            _draw_strip(panels[1], ordered, tones)
        matrix = panels[-1]
        image = matrix.imshow(
            similarity[np.ix_(order, order)],
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
            aspect="auto",
            interpolation="nearest" if len(shown) < 1000 else "antialiased",
        )
        matrix.set(xticks=[], yticks=[], title=title)
        for spine in matrix.spines.values():
            spine.set_visible(False)
        if fits:
            matrix.yaxis.tick_right()
            label_rows(matrix, range(len(shown)), shown, _WIDEST_NAME_IN)
        else:
            matrix.set_xlabel(f"{len(shown)} {what} in the order of the tree")
        bar = figure.colorbar(image, ax=panels, shrink=0.5, aspect=25, pad=0.02)
        bar.set_label("Pearson correlation")
        bar.outline.set_visible(False)
        key.draw(figure, handler_map={tuple: HandlerTuple(ndivide=None, pad=0)})
    return figure


def _leaves(tree: NDArray[np.float64]) -> list[int]:
    """The leaves from left to right, without recursion, since the tree may have N levels."""
    num = len(tree) + 1
    order, stack = [], [2 * num - 2]
    while stack:
        node = stack.pop()
        if node < num:
            order.append(node)
        else:
            left, right = tree[node - num, :2]
            stack += [int(right), int(left)]
    return order


def _draw_tree(axes: Axes, tree: NDArray[np.float64], num: int) -> None:
    """Draw the brackets of the tree, with the root at the left and leaf i at height i."""
    place = np.empty(2 * num - 1)
    height = np.zeros(2 * num - 1)
    place[_leaves(tree)] = np.arange(num)
    lines = []
    for i, (a, b, distance, _) in enumerate(tree):
        left, right = int(a), int(b)
        place[num + i] = (place[left] + place[right]) / 2
        height[num + i] = distance
        lines.append(
            [
                (height[left], place[left]),
                (distance, place[left]),
                (distance, place[right]),
                (height[right], place[right]),
            ]
        )
    axes.add_collection(LineCollection(lines, colors="0.3", linewidths=0.5))
    deepest = float(tree[:, 2].max()) or 1.0
    axes.set(xlim=(deepest * 1.02, 0), ylim=(num - 0.5, -0.5))
    axes.set_axis_off()


def _draw_strip(
    axes: Axes, classes: Sequence[str | None], tones: dict[str, tuple[str, str]]
) -> None:
    colours = np.array(
        [[to_rgb(tone) for tone in tones.get(c or "", (PALE, PALE))] for c in classes]
    )
    axes.imshow(colours, aspect="auto", interpolation="nearest")
    axes.set_axis_off()
