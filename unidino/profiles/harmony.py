"""Harmony: profiles of several batches are mixed, cluster by cluster.

Shapes: N profiles, D features.
Source: Korsunsky et al. 2019, "Fast, sensitive and accurate integration of single-cell data with
Harmony", doi 10.1038/s41592-019-0619-0.
"""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError
from unidino.core.log import log

_SEED = 0
_WELLS_PER_CLUSTER = 30
_MOST_CLUSTERS = 100
_SHOWN = 3


def harmonized(
    profiles: NDArray[np.float64], units: NDArray[np.int64], names: Sequence[str]
) -> NDArray[np.float64]:
    """Profiles (N, D) in which the units are mixed; equal input gives equal output.

    profiles: (N, D), finite. units: (N,), positions in `names`: the batch of each profile. The
    package's own settings are used, with one cluster for 30 profiles, at least two.
    Raises InputError if the package is missing, ProfileError if there is one batch or a profile has
    no direction.
    """
    package = _package()
    if len(names) < 2:
        raise ProfileError(
            f"harmony mixes batches, and all wells are of '{names[0]}'; choose per=plate, or leave"
            " it out"
        )
    if not np.isfinite(profiles).all():
        raise ProfileError(
            "wells have features that are not finite, which harmony cannot use; drop these features"
            " by select=na, which counts the few missing values of the others as their mean"
        )
    if (zero := ~profiles.any(axis=1)).any():
        raise ProfileError(
            f"{zero.sum()} wells are zero, so that harmony has no direction to cluster them by; use"
            " it after a normalization of plates with several wells"
        )
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    log.info(
        f"harmony is fitted to these {len(profiles)} profiles of {len(names)} batches ({shown});"
        " other profiles need another fit, and change these"
    )
    num_clusters = max(2, min(round(len(profiles) / _WELLS_PER_CLUSTER), _MOST_CLUSTERS))
    # As features by profiles, because the package takes a square matrix for that.
    fitted = package.run_harmony(
        profiles.T,
        {"batch": units},
        "batch",
        nclust=num_clusters,
        verbose=False,
        random_state=_SEED,
    )
    mixed = np.asarray(fitted.Z_corr, dtype=np.float64)
    if mixed.shape != profiles.shape:
        raise InputError(
            f"this version of harmonypy returns {mixed.shape} for {profiles.shape} profiles;"
            " install it by `pip install 'unidino[harmony]'`"
        )
    return mixed


def _package() -> ModuleType:
    try:
        import harmonypy
    except ImportError as error:
        raise InputError(
            "the normalization harmony needs the package harmonypy; install it by"
            " `pip install 'unidino[harmony]'`, or choose spherize or tvn"
        ) from error
    package: ModuleType = harmonypy
    return package
