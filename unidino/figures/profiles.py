"""Figures of profiles: as points, by their similarity, and by pairs of replicates."""

from typing import Any

import polars as pl
from matplotlib.figure import Figure

from unidino.core import assets
from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.reasons import WhyNot
from unidino.figures.draw.distributions import PairGroup, pair_distributions, pair_groups
from unidino.figures.results import one_model
from unidino.lake.lake import Lake
from unidino.profiles.groups import Group, groups
from unidino.profiles.selection import Selection
from unidino.profiles.treatments import TREATMENT, with_treatment

_AXES = {"umap": "UMAP", "densmap": "densMAP", "pca": "PC"}
_CONTROLS = ("negcon", "empty")
_PLURALS = {
    "plate": "compounds of a plate",
    "batch": "compounds of a batch",
    "source": "compounds of a source",
}


def map_figure(
    lake: Lake,
    selection: Selection | None = None,
    *,
    method: str = "umap",
    colour: str = "moa",
    seed: int = 0,
    width_mm: float = 180.0,
) -> Figure:
    """Profiles of one model as points coloured by a column, one panel for each dataset.

    method: see `projection`. colour: a column of `profile`.
    """
    from unidino.figures.draw.maps import map_points
    from unidino.insight.projection import project

    selection = selection or Selection()
    model = one_model(lake, selection.models)
    hidden = ("x", "y", "channels")
    columns = [f.name for f in assets.arrow_schema("projection") if f.name not in hidden]
    choose("column", colour, [*columns, TREATMENT])
    maps = project(lake, selection.of(model=model), method=method, seed=seed)
    panels = [
        (
            f"{m.dataset}: {model}, {m.level}, {m.normalization}",
            pl.DataFrame(with_treatment(m.points.to_arrow())),
        )
        for m in maps
    ]
    axis = _AXES[maps[0].method] if maps else ""
    return map_points(panels, colour, axis=axis, width_mm=width_mm)


def similarity_figure(
    lake: Lake,
    selection: Selection | None = None,
    *,
    label: str = "moa",
    width_mm: float = 180.0,
) -> Figure:
    """Correlations between the profiles of one dataset, clustered, with their labels.

    selection: default the profiles of compounds.
    """
    from unidino.figures.draw.similarity import similarity_map

    selection = selection or Selection(level="compound")
    model, level = one_model(lake, selection.models), selection.level
    group = _one_group(lake, model, selection)
    table = pl.DataFrame(pl.from_arrow(with_treatment(group.metadata)))
    choose("column", label, [c for c, dtype in table.schema.items() if not dtype.is_nested()])
    names = [_profile_name(row, level) for row in table.iter_rows(named=True)]
    is_labelled = table[label].null_count() < len(table)
    return similarity_map(
        group.vectors,
        names,
        table[label].cast(pl.String).to_list() if is_labelled else None,
        kind=label,
        what=_PLURALS.get(level, f"{level}s"),
        title=f"{group.profiled.dataset}: {model}, {group.profiled.normalization}",
        width_mm=width_mm,
    )


def replicates_figure(
    lake: Lake,
    selection: Selection | None = None,
    *,
    seed: int = 0,
    width_mm: float = 180.0,
) -> Figure:
    """Similarity of pairs of profiles of the same and of different compounds, without controls."""
    panels = _pair_panels(lake, selection or Selection(), seed, by_batch=False)
    return pair_distributions(panels, width_mm=width_mm)


def batches_figure(
    lake: Lake,
    selection: Selection | None = None,
    *,
    seed: int = 0,
    width_mm: float = 180.0,
) -> Figure:
    """The pairs of `replicates_figure`, split into pairs within a batch and across batches."""
    panels = _pair_panels(lake, selection or Selection(), seed, by_batch=True)
    return pair_distributions(panels, width_mm=width_mm)


def _one_group(lake: Lake, model: str, selection: Selection) -> Group:
    """The selected profiles of a model, of one dataset with the same channels.

    Raises InputError if there are several, ProfileError if there is none.
    """
    if len(selection.datasets) > 1:
        raise InputError("this figure shows one dataset; name one --dataset")
    with_profiles = [g for g in groups(lake, selection.of(model=model)) if g.metadata.num_rows]
    if not with_profiles:
        raise ProfileError(f"no {selection.level} profile of {model} fits --where")
    datasets = sorted({g.profiled.dataset for g in with_profiles})
    if len(datasets) > 1:
        raise InputError(f"{model} has profiles of {', '.join(datasets)}; choose one by --dataset")
    if len(with_profiles) > 1:
        sets = "; ".join(", ".join(g.channels) for g in with_profiles)
        raise InputError(
            f"plates of '{datasets[0]}' differ in their channels ({sets}); choose plates by --where"
        )
    return with_profiles[0]


def _pair_panels(
    lake: Lake, selection: Selection, seed: int, *, by_batch: bool
) -> dict[str, list[PairGroup]]:
    """Pairs of the selected profiles by the title of their panel."""
    if not selection.models:
        selection = selection.of(model=one_model(lake, ()))
    panels: dict[str, list[PairGroup]] = {}
    why_not = WhyNot()
    for group in groups(lake, selection):
        compounds = [
            None if control_type in _CONTROLS else compound
            for compound, control_type in zip(
                group.metadata["compound"].to_pylist(),
                group.metadata["control_type"].to_pylist(),
                strict=True,
            )
        ]
        batches = group.metadata["batch"].to_pylist() if by_batch else None
        title = f"{group.profiled.dataset}: {group.profiled.model}"
        if title in panels:
            title += f", {' '.join(group.channels)}"
        with why_not.collecting(group.profiled.dataset):
            panels[title] = pair_groups(group.vectors, compounds, batches, seed=seed)
    why_not.settle(anything_done=bool(panels), nothing="no profiles to compare")
    return panels


def _profile_name(row: dict[str, Any], level: str) -> str:
    if level in ("plate", "batch", "source"):
        return f"{row['compound']}, {row[level]}"
    if level in ("well", "field"):
        place = f"{row['plate']} {row['well']}"
        return place if level == "well" else f"{place} {row['field']}"
    name = str(row["compound"])
    if level == "treatment" and row["concentration_um"] is not None:
        name += f" {row['concentration_um']:g} µM"
    return name
