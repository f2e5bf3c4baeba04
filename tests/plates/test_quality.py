"""The statistics of a plane equal those of numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unidino.plates.quality import plane_statistics


@settings(max_examples=60)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]), st.tuples(st.integers(1, 50), st.integers(1, 50))
    )
)
def test_statistics_equal_numpys(plane: np.ndarray) -> None:
    figures = plane_statistics(plane)
    low, high = np.percentile(plane, [0.1, 99.9])
    assert figures.p0_1 == pytest.approx(low, abs=1e-6)
    assert figures.p99_9 == pytest.approx(high, abs=1e-6)
    assert figures.mean == pytest.approx(plane.mean())
    assert figures.saturation == (plane == np.iinfo(plane.dtype).max).mean()
    assert (figures.qc == "blank") == (figures.p0_1 == figures.p99_9)


def test_a_sharp_plane_has_more_focus_than_a_blurred_one() -> None:
    from scipy.ndimage import gaussian_filter

    sharp = np.random.default_rng(0).integers(0, 60000, (64, 64)).astype(np.uint16)
    blurred = gaussian_filter(sharp.astype(float), 2).astype(np.uint16)
    assert plane_statistics(sharp).focus > 5 * plane_statistics(blurred).focus


@settings(max_examples=60)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]), st.tuples(st.integers(3, 150), st.integers(3, 40))
    )
)
def test_focus_is_the_variance_of_the_laplacian_over_the_variance(plane: np.ndarray) -> None:
    values = plane.astype(float)
    laplacian = (
        values[:-2, 1:-1]
        + values[2:, 1:-1]
        + values[1:-1, :-2]
        + values[1:-1, 2:]
        - 4 * values[1:-1, 1:-1]
    )
    expected = laplacian.var() / values.var() if values.var() > 0 else 0
    low, high = np.percentile(plane, [0.1, 99.9])
    expected = expected if high > low else 0
    assert plane_statistics(plane).focus == pytest.approx(expected, rel=1e-4, abs=1e-6)
