"""Sections about the structure of profiles: maps, similar compounds, replicates and batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.figures.draw.distributions import PairGroup, pair_distributions, pair_groups
from unidino.figures.draw.maps import map_points
from unidino.figures.draw.similarity import similarity_map
from unidino.insight.projection import project
from unidino.lake.lake import Lake
from unidino.profiles.groups import groups
from unidino.profiles.treatments import with_treatment
from unidino.reports.page import FigurePart, Section
from unidino.reports.shown import ShownProfiles

_FEWEST_UMAP, _MOST_UMAP = 50, 5_000  # PCA, which is fast, projects fewer or more profiles
_MOST_POINTS = 100_000
_MOST_PAIRED = 50_000


def maps(lake: Lake, profiles: ShownProfiles | None, label: str) -> Section:
    """Profiles as points, coloured by label, and by batch and source to show technical effects."""
    if profiles is None:
        return Section("Maps", missing="run `unidino profile`.")
    panels, methods = _projected(lake, profiles)
    level, normalization = profiles.level, profiles.selection.normalize
    method = " or ".join(sorted(methods))
    axis = {"umap": "UMAP", "pca": "PC"}.get(method, "axis")
    parts = []
    for column in dict.fromkeys((label, "batch", "source")):
        coloured = [(t, p) for t, p in panels if p[column].null_count() < len(p)]
        most_values = max((p[column].n_unique() for _, p in coloured), default=0)
        if most_values < 2:
            continue
        names = ", ".join(t for t, _ in coloured)
        parts.append(
            FigurePart(
                map_points(coloured, column, axis=axis),
                f"Each point is a {level}, coloured by its {column} ({method}, {normalization}).",
                f"Scatter of the {level} profiles of {names} in two dimensions, by {column}.",
            )
        )
    text = f"Profiles of {profiles.model}; similar profiles lie close together."
    return Section("Maps", text, parts, missing="run `unidino profile`.")


def _projected(
    lake: Lake, profiles: ShownProfiles
) -> tuple[list[tuple[str, pl.DataFrame]], set[str]]:
    """Points of each dataset with its name, and the methods that projected them."""
    selection = profiles.selection
    uris = lake.look_up(
        "select uri from part where kind = 'projection' and model = $model",
        {"model": profiles.model},
    )["uri"].to_list()
    panels, methods = [], set()
    for dataset, num in profiles.num_profiles.items():
        is_stored = any(f"projection-umap-0/{profiles.level}/{dataset}." in uri for uri in uris)
        if num > _MOST_POINTS and not is_stored:
            continue
        method = "umap" if is_stored or _FEWEST_UMAP <= num <= _MOST_UMAP else "pca"
        for projected in project(lake, selection.of(dataset=dataset), method=method):
            points = pl.DataFrame(with_treatment(projected.points.to_arrow()))
            panels.append((projected.dataset, points))
            methods.add(projected.method)
    return panels, methods


def similarity(lake: Lake, profiles: ShownProfiles | None, label: str) -> Section:
    """Correlations between the mean profiles of compounds."""
    heading = "Similarity of compounds"
    if profiles is None:
        return Section(heading, missing="run `unidino profile`; two compounds are needed.")
    parts = []
    for dataset in profiles.num_profiles:
        for group in groups(lake, profiles.selection.of(dataset=dataset)):
            table = with_treatment(group.metadata)
            metadata = pl.DataFrame(table.select(list({"compound", label, "control_type"})))
            means, names, classes = _compound_means(group.vectors, metadata, label)
            try:
                is_told = any(classes) and label != "compound"
                figure = similarity_map(
                    means,
                    names,
                    classes if is_told else None,
                    kind=label,
                    what="compounds",
                    title=dataset,
                )
            except ProfileError:
                # One compound has no pair, and a matrix of thousands would show nothing.
                continue
            parts.append(
                FigurePart(
                    figure,
                    f"{dataset}: Pearson correlation of the mean profiles of {len(names)}"
                    " compounds, in the order of average linkage.",
                    f"Heatmap of the correlations between {len(names)} compounds of {dataset}.",
                )
            )
    return Section(heading, f"Mean {profiles.level} profiles of {profiles.model}.", parts)


def _compound_means(
    vectors: NDArray[Any], metadata: pl.DataFrame, label: str
) -> tuple[NDArray[np.float64], list[str], list[str | None]]:
    """Mean vectors (C, D) of the compounds, their names and labels.

    Profiles without a compound or with missing features are left out.
    """
    usable = np.isfinite(vectors).all(axis=1) & metadata["compound"].is_not_null().to_numpy()
    rows = metadata.filter(pl.Series(usable))
    names, group = np.unique(rows["compound"].to_numpy().astype(str), return_inverse=True)
    sums = np.zeros((len(names), vectors.shape[1]))
    np.add.at(sums, group, vectors[usable])
    means = sums / np.maximum(np.bincount(group, minlength=len(names)), 1)[:, None]
    first = pl.col(label).drop_nulls().first().alias("its label")
    labels = dict(rows.group_by("compound").agg(first).iter_rows())
    return means, names.tolist(), [labels[name] for name in names.tolist()]


def replicates(lake: Lake, profiles: ShownProfiles | None) -> Section:
    """Similarity of replicates, within and across batches."""
    heading = "Replicates and batches"
    if profiles is None or profiles.level not in ("well", "field"):
        return Section(heading)
    parts = []
    for by_batch, text in (
        (False, "Pairs of profiles of the same compound and of different compounds."),
        (True, "The same pairs within and across batches. Curves of one colour should coincide."),
    ):
        if panels := _pairs(lake, profiles, by_batch=by_batch):
            parts.append(
                FigurePart(
                    pair_distributions(panels),
                    f"{text} The title gives how often two replicates are nearer than two"
                    " different compounds.",
                    "Distributions of cosine similarity between profiles of the same and of"
                    " different compounds" + (", by batch." if by_batch else "."),
                )
            )
    text = f"Cosine similarity of treated {profiles.level}s of {profiles.model}, without controls."
    return Section(heading, text, parts)


def _pairs(
    lake: Lake, profiles: ShownProfiles, *, by_batch: bool
) -> dict[str, Sequence[PairGroup]]:
    """Pairs of treated profiles, by dataset and channels."""
    panels: dict[str, Sequence[PairGroup]] = {}
    for dataset, num in profiles.num_profiles.items():
        if num > _MOST_PAIRED:
            continue
        try:
            found = list(groups(lake, profiles.treated(dataset)))
        except ProfileError:
            # Their normalization cannot be fitted to treated wells alone.
            continue
        for group in found:
            if not group.metadata.num_rows:
                continue
            compounds = group.metadata["compound"].to_pylist()
            batches = group.metadata["batch"].to_pylist() if by_batch else None
            title = dataset if dataset not in panels else f"{dataset}, {' '.join(group.channels)}"
            try:
                panels[title] = pair_groups(group.vectors, compounds, batches)
            except ProfileError:
                # All profiles have the same batch, or no compound has replicates.
                continue
    return panels
