"""Profiles as points in a plane, kept in the lake.

Shapes: N profiles, D features. Source: McInnes et al. 2018, "UMAP", arXiv 1802.03426; Narayan et
al. 2021, "densMAP", doi 10.1038/s41587-020-00801-7.
"""

import json
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.decomposition import PCA, TruncatedSVD

from unidino.core import assets
from unidino.core.errors import ProfileError, choose
from unidino.core.files import digest, written_beside
from unidino.core.log import log
from unidino.lake.lake import Lake
from unidino.lake.parts import land_parts
from unidino.lake.runs import Run
from unidino.profiles import files, profile
from unidino.profiles.groups import by_channels, vectors_of

METHODS = ("umap", "densmap", "pca")
_NUM_NEIGHBORS = 15
_FEWEST = 5
# Up to so many profiles all are compared; beyond, umap searches, which is slow in many dimensions.
_MANY = 4_096
_REDUCED_DIMS = 50
_VERSION = 2


@dataclass(frozen=True)
class Projected:
    """Profiles of one dataset and the same channels as points in a plane.

    method: what projected them: `pca` where another was asked for but cannot be.
    points: a row for each profile: the metadata columns of `profile`, and x and y, unitless.
    """

    dataset: str
    method: str
    channels: tuple[str, ...]
    points: pl.DataFrame


def projection(
    lake: Lake,
    model: str,
    *,
    method: str = "umap",
    level: str = "well",
    normalize: str = "mad_robustize",
    dataset: str | None = None,
    where: str | None = None,
    seed: int = 0,
) -> list[Projected]:
    """Profiles of a model as points, datasets and sets of channels apart.

    What was projected before is read from the lake; missing profiles are made. dataset: default
    all. where: SQL condition over the columns of `profile`.
    Raises UnidinoError for an unknown name, ProfileError if no profile is left.
    """
    choose("method of projection", method, METHODS)
    run = Run(
        "projection",
        {
            "model": model,
            "method": method,
            "level": level,
            "where": where,
            "normalize": normalize,
            "seed": seed,
        },
    )
    found: list[Projected] = []
    for made in profile.profile(
        lake, [model], normalize=normalize, level=level, datasets=[dataset] if dataset else ()
    ):
        table = _kept_or_made(lake, run, made, method, where, seed)
        for channels, own in by_channels(table, ()):
            points = pl.DataFrame(own)
            used = points["method"][0]
            constant = ("method", "seed", "condition")
            found.append(Projected(made.dataset, used, tuple(channels), points.drop(constant)))
    if not found:
        raise ProfileError("no profile is left to project" + (f" where {where}" if where else ""))
    return found


def project(vectors: NDArray[Any], method: str = "umap", *, seed: int = 0) -> NDArray[np.float64]:
    """Points (N, 2), unitless; the same for the same vectors and seed.

    vectors: (N, D), N >= 1, finite. method: `umap` and `densmap` (which keeps densities) by cosine
    distance and 15 neighbours, starting from the principal axes of the directions; beyond 4,096
    profiles they see 50 principal axes of the directions. `pca`: two principal axes.
    Fewer than 5 distinct directions are projected by pca, which is said.
    Raises ProfileError for a vector that is not finite.
    """
    return _project(np.asarray(vectors), choose("method of projection", method, METHODS), seed)[0]


def _project(vectors: NDArray[Any], method: str, seed: int) -> tuple[NDArray[np.float64], str]:
    """Points (N, 2) and the method that was used."""
    if vectors.ndim != 2 or not vectors.size:
        raise ProfileError(f"vectors of shape {vectors.shape} cannot be projected")
    if not np.isfinite(vectors).all():
        raise ProfileError("a vector with missing or infinite features cannot be projected")
    if method == "pca":
        return _principal(vectors, seed), method
    if len(vectors) <= _MANY:
        vectors = vectors.astype(np.float64)
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    # What differs by rounding only is one direction; a few tell whether there are enough.
    some = np.round(directions[:_MANY], 6)
    num_distinct = len(np.unique(some, axis=0))
    if num_distinct < _FEWEST:
        log.warning(
            f"{method} needs {_FEWEST} profiles that differ, there are {num_distinct}: pca instead"
        )
        return _principal(vectors, seed), "pca"
    start = _principal(directions, seed)
    with warnings.catch_warnings():
        # umap says on import that its neural variant lacks a package that nothing here needs.
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
        from umap import UMAP
    few = len(vectors) <= _MANY
    if few:
        # One matrix product does what umap does pair by pair, several times as fast.
        given = np.clip(1 - directions @ directions.T, 0, 2)
        np.fill_diagonal(given, 0)
    elif vectors.shape[1] > _REDUCED_DIMS:
        given = TruncatedSVD(_REDUCED_DIMS, random_state=seed).fit_transform(directions)
    else:
        given = directions
    mapper = UMAP(
        n_neighbors=min(_NUM_NEIGHBORS, len(vectors) - 1),
        random_state=seed,
        n_jobs=1,
        metric="precomputed" if few else "cosine",
        densmap=method == "densmap",
        init=10 * start / np.abs(start).max(),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "using precomputed metric", UserWarning)
        points = mapper.fit_transform(given)
    return np.asarray(points, dtype=np.float64), method


def _principal(vectors: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """Coordinates (N, 2) along the two axes of greatest spread; 0 where there is none."""
    points = np.zeros((len(vectors), 2))
    num = min(2, *vectors.shape)
    if (vectors != vectors[0]).any():
        points[:, :num] = PCA(num, random_state=seed).fit_transform(vectors)
    return points


def kept(
    lake: Lake, profile_uri: str, method: str, where: str | None = None, seed: int = 0
) -> pa.Table | None:
    """Points that were made of these very profiles before, a row each, or None."""
    uri, inputs = _place(lake, profile_uri, method, where, seed)
    known = lake.look_up(
        "select 1 from part where uri = $uri and inputs_hash = $inputs",
        {"uri": uri, "inputs": inputs},
    )
    if known.is_empty() or not lake.resolve(uri).is_file():
        return None
    return pq.read_table(lake.resolve(uri))


def _place(
    lake: Lake, profile_uri: str, method: str, where: str | None, seed: int
) -> tuple[str, str]:
    """Uri of the points of a file of profiles, and the hash of what they are made of."""
    suffix = f"-{digest(where)[:8]}" if where else ""
    path = PurePosixPath(profile_uri)
    uri = path.parents[1] / f"projection-{method}-{seed}{suffix}" / path.parent.name / path.name
    (sha256,) = lake.look_up("select sha256 from part where uri = $uri", {"uri": profile_uri})[
        "sha256"
    ]
    return str(uri), digest(sha256, method, seed, where, _VERSION)


def _kept_or_made(
    lake: Lake, run: Run, made: profile.Profiled, method: str, where: str | None, seed: int
) -> pa.Table:
    """Points of a dataset, read if they were made of these very profiles."""
    if (known := kept(lake, made.uri, method, where, seed)) is not None:
        return known
    uri, inputs = _place(lake, made.uri, method, where, seed)
    table = files.load(lake, made.model, made.normalization, made.level, made.dataset, where)
    table, dropped = _finite(table)
    for reason, count in dropped.items():
        log.warning(f"{made.dataset}: {count} profiles left out ({reason.replace('_', ' ')})")
    parts = []
    for channels, own in by_channels(table, ()) if table.num_rows else ():
        points, used = _project(vectors_of(own, channels, ()), method, seed)
        columns = {"method": used, "seed": seed, "condition": where}
        same = {k: pa.array([v] * own.num_rows) for k, v in columns.items()}
        xy = {"x": pa.array(points[:, 0]), "y": pa.array(points[:, 1])}
        values = dict(zip(own.column_names, own.columns, strict=True)) | same | xy
        schema = assets.arrow_schema("projection")
        parts.append(pa.table({n: values[n] for n in schema.names}).cast(schema))
    schema = assets.arrow_schema("projection")
    points_table = pa.concat_tables(parts) if parts else schema.empty_table()
    with written_beside(lake.resolve(uri)) as path:
        pq.write_table(points_table, path, compression="zstd")
    land_parts(
        lake,
        run,
        {
            uri: {
                "kind": "projection",
                "model": made.model,
                "dataset": made.dataset,
                "level": made.level,
                "normalization": made.normalization,
                "inputs_hash": inputs,
                "num_rows": points_table.num_rows,
                "dropped": json.dumps(dropped),
            }
        },
    )
    return points_table


def _finite(table: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Profiles without missing or infinite features, and how many were left out."""
    lists = table["embedding"].combine_chunks()
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    bad = ~np.isfinite(flat)
    if not bad.any():
        return table, {}
    rows = np.repeat(np.arange(len(lists)), lists.value_lengths().to_numpy())
    is_good = np.bincount(rows, weights=bad, minlength=len(lists)) == 0
    return table.filter(pa.array(is_good)), {"nan_feature": int((~is_good).sum())}
