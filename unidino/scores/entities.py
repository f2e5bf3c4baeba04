"""Mean profiles of entities: genes, compounds or other values of a label.

Shapes: N profiles, E entities, D features.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unidino.core.errors import ProfileError
from unidino.scores.candidates import candidates
from unidino.scores.question import Question


@dataclass(frozen=True)
class Entities:
    """Entities with a mean profile.

    names: (E,), sorted. vectors: (E, D), of length 1. dropped: profiles that are left out: reason
    and count.
    """

    names: list[str]
    vectors: NDArray[np.float64]
    dropped: dict[str, int]


def mean_entities(metadata: Any, vectors: NDArray[Any], label: str) -> Entities:
    """The mean profile of each value of the label, scaled to length 1.

    metadata, vectors: see `candidates`. Controls, empty wells, profiles without the label and
    profiles with missing features are left out. An entity whose mean is zero has no direction and
    is left out too.
    Raises ProfileError if fewer than two entities are left.
    """
    found = candidates(metadata, vectors, Question(f"not same {label}", "text", label, "none"))
    names, entity = np.unique(found.names.astype(str), return_inverse=True)
    order = np.argsort(entity, kind="stable")
    starts = np.searchsorted(entity[order], np.arange(len(names)))
    chosen = vectors[found.positions[order]].astype(np.float64)
    means = np.add.reduceat(chosen, starts) / np.bincount(entity)[:, None]
    norms = np.linalg.norm(means, axis=1)
    has_direction = norms > 0
    dropped = found.dropped
    if not has_direction.all():
        dropped = dropped | {"entity_of_mean_zero": int((~has_direction).sum())}
    if has_direction.sum() < 2:
        raise ProfileError(f"{has_direction.sum()} {label} has a mean profile; two are needed")
    unit = means[has_direction] / norms[has_direction, None]
    return Entities(names[has_direction].tolist(), unit, dropped)
