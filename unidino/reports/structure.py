"""How profiles lie to each other: maps, similarity of compounds, replicates and batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.figures import draw
from unidino.figures import rows as figure_rows
from unidino.insight.projection import projection
from unidino.lake.lake import Lake
from unidino.profiles import files
from unidino.profiles.groups import by_channels, vectors_of
from unidino.reports.page import Section, Shown

_FEWEST_UMAP, _MOST_UMAP = 50, 5_000  # others are projected by PCA, which is fast and exact
_MOST_POINTS = 100_000
_MOST_PAIRED = 50_000
_MOST_DATASETS = 8
_TREATED = "coalesce(control_type, 'trt') not in ('negcon', 'empty')"


@dataclass(frozen=True)
class Lead:
    """The profiles that the report looks into: of one model, normalization and level.

    num_profiles: by dataset.
    """

    model: str
    normalization: str
    level: str
    num_profiles: dict[str, int]


def lead(lake: Lake, model: str | None) -> Lead | None:
    """Profiles in the lake, of the model or else the best-scored one: of wells if there are."""
    rows = lake.look_up(
        "select model, normalization, level, dataset, num_rows from part where kind = 'profile'"
        " and num_rows > 0 order by model, level <> 'well', level <> 'treatment', level,"
        " normalization <> 'mad_robustize', normalization, dataset"
    )
    present = rows["model"].unique(maintain_order=True).to_list()
    if model not in present:
        model = figure_rows.best_model(lake, present) or (present[0] if present else None)
    if model is None:
        return None
    own = rows.filter(pl.col("model") == model)
    first = own.row(0, named=True)
    same = own.filter(
        (pl.col("level") == first["level"]) & (pl.col("normalization") == first["normalization"])
    )
    counts = dict(same.select("dataset", "num_rows").head(_MOST_DATASETS).iter_rows())
    return Lead(model, first["normalization"], first["level"], counts)


def maps(lake: Lake, of: Lead | None, label: str) -> Section:
    """Profiles as points: by label, and by batch to see what is technical."""
    shown: list[Shown] = []
    if of:
        known = lake.look_up(
            "select uri from part where kind = 'projection' and model = $model", {"model": of.model}
        )["uri"].to_list()
        panels, methods = [], set()
        for dataset, num in of.num_profiles.items():
            cached = any(f"projection-umap-0/{of.level}/{dataset}." in uri for uri in known)
            if num > _MOST_POINTS and not cached:
                continue
            method = "umap" if cached or _FEWEST_UMAP <= num <= _MOST_UMAP else "pca"
            for projected in projection(
                lake,
                of.model,
                method=method,
                level=of.level,
                normalize=of.normalization,
                dataset=dataset,
            ):
                panels.append((projected.dataset, projected.points))
                methods.add(projected.method)
        for color, said in ((label, "label"), ("batch", "batch"), ("source", "source")):
            held = [(t, p) for t, p in panels if p[color].null_count() < len(p)]
            if not held or (color != label and max(p[color].n_unique() for _, p in held) < 2):
                continue
            axis = {"umap": "UMAP", "pca": "PC"}["".join(methods)] if len(methods) == 1 else "axis"
            method = " or ".join(sorted(methods))
            shown.append(
                Shown(
                    draw.map_points(held, color, axis=axis),
                    f"Each point is a {of.level}, coloured by its {color} ({method},"
                    f" {of.normalization}).",
                    f"Scatter of the {of.level} profiles of {', '.join(t for t, _ in held)} in two"
                    f" dimensions, by {said}.",
                )
            )
    return Section(
        "Maps",
        f"Profiles of {of.model}: what lies close looks alike." if of else "",
        shown,
        missing="run `unidino profile`.",
    )


def similarity(lake: Lake, of: Lead | None, label: str) -> Section:
    """Correlations between the mean profiles of compounds."""
    shown: list[Shown] = []
    for dataset in of.num_profiles if of else ():
        assert of is not None
        table = files.load(lake, of.model, of.normalization, of.level, dataset)
        for channels, own in by_channels(table, ()):
            vectors = vectors_of(own, channels, ())
            metadata = pl.DataFrame(own.select(["compound", label, "control_type"]))
            means, names, classes = _compound_means(vectors, metadata, label)
            try:
                figure = draw.similarity_map(
                    means,
                    names,
                    classes if any(classes) else None,
                    kind=label,
                    what="compounds",
                    title=dataset,
                )
            except ProfileError:
                # One compound, or thousands: nothing that a matrix would show.
                continue
            shown.append(
                Shown(
                    figure,
                    f"{dataset}: Pearson correlation of the mean profiles of {len(names)}"
                    " compounds, in the order of average linkage.",
                    f"Heatmap of the correlations between {len(names)} compounds of {dataset}.",
                )
            )
    return Section(
        "Similarity of compounds",
        f"Mean {of.level} profiles of {of.model}." if of else "",
        shown,
        missing="profiles of two compounds are needed; run `unidino profile`." if not of else "",
    )


def _compound_means(
    vectors: NDArray[Any], metadata: pl.DataFrame, label: str
) -> tuple[NDArray[np.float64], list[str], list[str | None]]:
    """Mean vectors (C, D) of compounds that are named and whose features are all there."""
    usable = np.isfinite(vectors).all(axis=1) & metadata["compound"].is_not_null().to_numpy()
    own = metadata.filter(pl.Series(usable))
    names, group = np.unique(own["compound"].to_numpy().astype(str), return_inverse=True)
    sums = np.zeros((len(names), vectors.shape[1]))
    np.add.at(sums, group, vectors[usable])
    means = sums / np.maximum(np.bincount(group, minlength=len(names)), 1)[:, None]
    agreed = dict(own.group_by("compound").agg(pl.col(label).drop_nulls().first()).iter_rows())
    return means, names.tolist(), [agreed[name] for name in names.tolist()]


def replicates(lake: Lake, of: Lead | None) -> Section:
    """How alike replicates are, within and across batches."""
    shown: list[Shown] = []
    panels: dict[bool, dict[str, Sequence[draw.PairGroup]]] = {False: {}, True: {}}
    for dataset, num in of.num_profiles.items() if of and of.level in ("well", "field") else ():
        assert of is not None
        if num > _MOST_PAIRED:
            continue
        table = files.load(lake, of.model, of.normalization, of.level, dataset, _TREATED)
        for channels, own in by_channels(table, ()) if table.num_rows else ():
            vectors = vectors_of(own, channels, ())
            for by_batch in (False, True):
                batches = own["batch"].to_pylist() if by_batch else None
                try:
                    panels[by_batch][dataset] = draw.pair_groups(
                        vectors, own["compound"].to_pylist(), batches
                    )
                except ProfileError:
                    # One batch, or compounds without replicates.
                    continue
    for by_batch, said in (
        (False, "Pairs of the same and of different compounds."),
        (
            True,
            "The same, within and across batches: curves of one colour that"
            " differ show what batches add.",
        ),
    ):
        if panels[by_batch]:
            shown.append(
                Shown(
                    draw.pair_distributions(panels[by_batch]),
                    f"{said} The title says how often two replicates are nearer than two different"
                    " compounds.",
                    "Distributions of cosine similarity between profiles of the same and of"
                    " different compounds" + (", by batch." if by_batch else "."),
                )
            )
    return Section(
        "Replicates and batches",
        f"Cosine similarity of treated {of.level}s of {of.model}; controls are left out."
        if of
        else "",
        shown,
    )
