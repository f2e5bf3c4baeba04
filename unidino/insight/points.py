"""Vectors as points in a plane.

Shapes: N vectors, D features. Source: McInnes et al. 2018, "UMAP", arXiv 1802.03426; Narayan et al.
2021, "densMAP", doi 10.1038/s41587-020-00801-7.
"""

import sys
import warnings
from contextlib import suppress
from functools import cache
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from unidino.core.choices import ProjectionMethod
from unidino.core.errors import ProfileError, choose
from unidino.core.log import log

METHODS: tuple[ProjectionMethod, ...] = get_args(ProjectionMethod)
_NUM_NEIGHBOURS = 15
_MIN_DISTINCT = 5
# Up to this many vectors, all distances are computed. Beyond, umap searches approximate neighbours,
# which is slow in many dimensions.
_MAX_EXACT = 4_096
_REDUCED_DIMS = 50


def points_of(vectors: NDArray[Any], method: str = "umap", *, seed: int = 0) -> NDArray[np.float64]:
    """Points (N, 2), unitless; equal vectors and seed give equal points.

    vectors: (N, D), N >= 1, finite. method: `umap` and `densmap` (which preserves densities) use
    cosine distance and 15 neighbours and start from the principal axes of the unit vectors; beyond
    4,096 vectors they see 50 principal axes of the unit vectors. `pca`: two principal axes.
    With fewer than 5 distinct directions the method is `pca`, with a warning.
    Raises ProfileError for a vector that is not finite.
    """
    return points_and_method(np.asarray(vectors), method, seed)[0]


def points_and_method(
    vectors: NDArray[Any], method: str, seed: int
) -> tuple[NDArray[np.float64], str]:
    """Points (N, 2) as of `points_of`, and the method that was used."""
    choose("method of projection", method, METHODS)
    if vectors.ndim != 2 or not vectors.size:
        raise ProfileError(f"vectors of shape {vectors.shape} cannot be projected")
    if not np.isfinite(vectors).all():
        raise ProfileError("a vector with missing or infinite features cannot be projected")
    if method == "pca":
        return _principal_points(vectors, seed), method
    if len(vectors) <= _MAX_EXACT:
        vectors = vectors.astype(np.float64)
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    # Directions that differ only by rounding count once. A sample suffices to count to five.
    sample = np.round(directions[:_MAX_EXACT], 6)
    num_distinct = len(np.unique(sample, axis=0))
    if num_distinct < _MIN_DISTINCT:
        log.warning(
            f"{method} needs {_MIN_DISTINCT} profiles that differ, there are {num_distinct}: pca"
            " is used instead"
        )
        return _principal_points(vectors, seed), "pca"
    return _umap_points(directions, method, seed), method


def _umap_points(directions: NDArray[Any], method: str, seed: int) -> NDArray[np.float64]:
    """Points (N, 2) by umap or densmap. directions: (N, D), of length 1 or 0."""
    with warnings.catch_warnings():
        # On import umap warns that a neural variant, which is not used here, lacks a package.
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
        from umap import UMAP

    _keep_compiled()
    start = _principal_points(directions, seed)
    is_exact = len(directions) <= _MAX_EXACT
    if is_exact:
        # One matrix product replaces umap's loop over pairs and is several times as fast.
        given = np.clip(1 - directions @ directions.T, 0, 2)
        np.fill_diagonal(given, 0)
    elif directions.shape[1] > _REDUCED_DIMS:
        from sklearn.decomposition import TruncatedSVD

        given = TruncatedSVD(_REDUCED_DIMS, random_state=seed).fit_transform(directions)
    else:
        given = directions
    mapper = UMAP(
        n_neighbors=min(_NUM_NEIGHBOURS, len(directions) - 1),
        random_state=seed,
        n_jobs=1,
        metric="precomputed" if is_exact else "cosine",
        densmap=method == "densmap",
        init=10 * start / np.abs(start).max(),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "using precomputed metric", UserWarning)
        warnings.filterwarnings("ignore", "Cannot cache compiled function")
        points = mapper.fit_transform(given)
    return np.asarray(points, dtype=np.float64)


@cache
def _keep_compiled() -> None:
    """Have numba keep what it compiles of umap: that takes 10 s, once an installation then."""
    from numba.core.dispatcher import Dispatcher

    for name in ("umap.umap_", "umap.utils", "umap.layouts", "umap.distances"):
        for function in vars(sys.modules[name]).values():
            # Without a folder that can be written, nothing is kept.
            with suppress(RuntimeError):
                if isinstance(function, Dispatcher) and not function.signatures:
                    function.enable_caching()


def _principal_points(vectors: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """Coordinates (N, 2) along the two axes of greatest variance; 0 along an axis without any."""
    from sklearn.decomposition import PCA

    points = np.zeros((len(vectors), 2))
    num = min(2, *vectors.shape)
    if (vectors != vectors[0]).any():
        points[:, :num] = PCA(num, random_state=seed).fit_transform(vectors)
    return points
