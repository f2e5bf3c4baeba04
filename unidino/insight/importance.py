"""Shares of a class's most important features, by channel.

Shapes: N profiles, C channels of D features, S seeds. Source: Morelli et al. 2025, section 2.4.
"""

import numpy as np
from numpy.typing import NDArray

_NUM_TREES = 100


def channel_shares(
    features: NDArray[np.float32],
    is_member: NDArray[np.bool_],
    num_channels: int,
    *,
    top: int,
    seed: int,
) -> NDArray[np.float64]:
    """Shares (C,) of the `top` features that a random forest uses most, by their channel.

    The forest tells one class from all others. Equal shares if no feature tells it.
    features: (N, C * D), channels side by side. is_member: (N,).
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        _NUM_TREES, class_weight="balanced", random_state=seed, n_jobs=1
    )
    forest.fit(features, is_member)
    importance = forest.feature_importances_
    most = np.argsort(-importance, kind="stable")[:top]
    # Features of importance 0 are equal; the stable sort would count them for the first channel.
    most = most[importance[most] > 0]
    if not len(most):
        return np.full(num_channels, 1 / num_channels)
    channel = most // (features.shape[1] // num_channels)
    shares: NDArray[np.float64] = np.bincount(channel, minlength=num_channels) / len(most)
    return shares


def student_interval(
    shares: NDArray[np.float64],
) -> tuple[NDArray[np.float64], list[float | None], list[float | None]]:
    """Means (C,) over seeds, and the lower and upper ends of their 95 % intervals.

    The intervals are Student's, limited to 0..1; None for a single seed. shares: (S, C).
    """
    from scipy.stats import t

    mean = shares.mean(axis=0)
    if len(shares) == 1:
        return mean, [None] * len(mean), [None] * len(mean)
    half = t.ppf(0.975, len(shares) - 1) * shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    low, high = np.clip([mean - half, mean + half], 0, 1)
    return mean, low.tolist(), high.tolist()
