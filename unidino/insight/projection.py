"""Profiles as points in a plane, kept in the lake.

Shapes: N profiles, D features.
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from unidino.core import assets
from unidino.core.errors import ProfileError, choose
from unidino.core.files import digest
from unidino.core.log import log
from unidino.core.reasons import reason_text
from unidino.core.results import Result, Results
from unidino.insight.points import METHODS, points_and_method
from unidino.lake.lake import Lake
from unidino.lake.mending import Mender
from unidino.lake.overlay import to_compute_in
from unidino.lake.parts import Part, Parts, carried, current, read_part
from unidino.lake.runs import Run
from unidino.profiles.groups import groups
from unidino.profiles.profile import Profiled, profile
from unidino.profiles.selection import Selection

_VERSION = 2


@dataclass(frozen=True)
class Projected(Result):
    """Profiles of one model and dataset, with the same channels, as points in a plane.

    method: the method that was used, which is `pca` where the wanted one is impossible.
    points: a row per profile, with the columns of the table `projection`; x and y are unitless.
    """

    model: str
    normalization: str
    level: str
    dataset: str
    method: str
    channels: tuple[str, ...]
    num_profiles: int
    points: pl.DataFrame = field(repr=False, compare=False)


@dataclass(frozen=True)
class _Place:
    """Where points of profiles are kept: their uri, and the hash of what they are made of."""

    uri: str
    inputs_hash: str


def project(
    lake: Lake, selection: Selection, *, method: str = "umap", seed: int = 0
) -> Results[Projected]:
    """Profiles as points, apart for each model, dataset and set of channels.

    Points that the lake has are read; missing profiles are computed. A lake that may only be read
    keeps neither. method: see `points_of`.
    Raises UnidinoError for an unknown name, ProfileError if no profile is left.

    >>> import unidino as ud
    >>> (tiny,) = ud.project(lake, ud.Selection(models=["gaussian"]), method="pca")
    >>> tiny.points.select("well", "x", "y").shape
    (12, 3)
    """
    run = Run.of("project", locals())
    choose("method of projection", method, METHODS)
    selection = selection.with_channels_in_form()
    lake = to_compute_in(lake)
    found: list[Projected] = []
    for profiled in profile(lake, selection):
        table = look_up_points(lake, profiled.uri, method, selection, seed)
        if table is None:
            table = _project(lake, run, profiled, selection, method, seed)
        found += _by_channels(profiled, table)
    if not found:
        where = f" where {selection.where}" if selection.where else ""
        raise ProfileError(f"no profile is left to project{where}")
    return Results(found, lambda items: pl.concat([p.points for p in items]))


def look_up_points(
    lake: Lake,
    profile_uri: str,
    method: str,
    selection: Selection | None = None,
    seed: int = 0,
) -> pa.Table | None:
    """Points that the lake keeps of a file of profiles, a row each; None if it has none.

    profile_uri: of the file of profiles; points of an earlier state of it do not count. selection:
    its condition, compounds and channels choose among these profiles; default all.
    """
    place = _place(lake, profile_uri, method, selection or Selection(), seed)
    if current(lake, place.uri, place.inputs_hash) is None:
        return None
    return read_part(lake, place.uri, Mender(lake).of_part(place.uri))


def _condition(selection: Selection) -> str | None:
    """SQL that chooses the profiles of a file, None for all."""
    if selection.compounds is None:
        return selection.where
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in selection.compounds)
    condition = f"list_contains([{names}], compound)"
    return f"({selection.where}) and {condition}" if selection.where else condition


def _place(lake: Lake, profile_uri: str, method: str, selection: Selection, seed: int) -> _Place:
    """Where the points of a file of profiles are kept."""
    condition, channels = (
        _condition(selection),
        [list(selection.channels)] * bool(selection.channels),
    )
    suffix = f"-{digest(condition, *channels)[:8]}" if condition or channels else ""
    path = PurePosixPath(profile_uri)
    uri = path.parents[1] / f"projection-{method}-{seed}{suffix}" / path.parent.name / path.name
    (sha256,) = lake.look_up("select sha256 from part where uri = $uri", {"uri": profile_uri})[
        "sha256"
    ]
    return _Place(str(uri), digest(sha256, method, seed, condition, _VERSION, *channels))


def _project(
    lake: Lake, run: Run, profiled: Profiled, selection: Selection, method: str, seed: int
) -> pa.Table:
    """Points of the profiles of one model and dataset, a row each; they are written to the lake."""
    place = _place(lake, profiled.uri, method, selection, seed)
    schema = assets.arrow_schema("projection")
    tables, num_dropped = [schema.empty_table()], 0
    for group in groups(lake, selection.of(model=profiled.model, dataset=profiled.dataset)):
        is_finite = np.isfinite(group.vectors).all(axis=1)
        num_dropped += int((~is_finite).sum())
        if not is_finite.any():
            continue
        vectors = group.vectors if is_finite.all() else group.vectors[is_finite]
        points, used = points_and_method(vectors, method, seed)
        rows = group.metadata.filter(pa.array(is_finite))
        constants = {
            "method": used,
            "seed": seed,
            "condition": _condition(selection),
            "channels": list(group.channels),
        }
        columns = dict(zip(rows.column_names, rows.columns, strict=True))
        columns |= {name: pa.array([value] * rows.num_rows) for name, value in constants.items()}
        columns |= {"x": pa.array(points[:, 0]), "y": pa.array(points[:, 1])}
        tables.append(pa.table({name: columns[name] for name in schema.names}).cast(schema))
    table = pa.concat_tables(tables)
    dropped = {"nan_feature": num_dropped} if num_dropped else {}
    for reason, count in dropped.items():
        log.warning(f"{profiled.dataset}: {reason_text(reason, count)}")
    part = Part(
        uri=place.uri,
        kind="projection",
        model=profiled.model,
        dataset=profiled.dataset,
        level=profiled.level,
        normalization=profiled.normalization,
        inputs_hash=place.inputs_hash,
    )
    parts = Parts(lake, run)
    with parts.writing(part, table.num_rows, dropped=dropped) as path:
        told = carried(part, dropped=dropped)
        pq.write_table(table.replace_schema_metadata(told), path, compression="zstd")
    parts.land()
    return table


def _by_channels(profiled: Profiled, table: pa.Table) -> list[Projected]:
    """Points of one model and dataset, apart for each set of channels."""
    points = pl.DataFrame(table)
    found = []
    for channels in sorted(tuple(c) for c in points["channels"].unique().to_list()):
        rows = points.filter(pl.col("channels") == list(channels))
        found.append(
            Projected(
                model=profiled.model,
                normalization=profiled.normalization,
                level=profiled.level,
                dataset=profiled.dataset,
                method=rows["method"][0],
                channels=channels,
                num_profiles=len(rows),
                points=rows,
            )
        )
    return found
