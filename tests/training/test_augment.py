"""Views are augmented as documented."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from unidino.training.augment import NUM_DRAWS, augmented, noisy, saturated
from unidino.training.recipe import TrainConfig

PAPER = TrainConfig()
ONLY_FLIPPED = TrainConfig(shift=0, gamma=(1, 1))


def _draws(seed: int, num_views: int, num_channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(NUM_DRAWS, num_views, num_channels, generator=generator)


def _places(config: TrainConfig) -> dict[int, float]:
    """Where a bright pixel at row 0, column 1 of 4 x 4 ends, and in which share of the views."""
    spot = torch.zeros(4000, 1, 4, 4)
    spot[:, :, 0, 1] = 0.5
    places = augmented(spot, _draws(0, 4000), config)[:, 0].flatten(1).argmax(dim=1)
    values, counts = places.unique(return_counts=True)
    return {int(v): float(c) / 4000 for v, c in zip(values, counts, strict=True)}


def test_views_are_flipped_shifted_and_gamma_changed_as_documented() -> None:
    spot = torch.zeros(4000, 1, 4, 4)
    spot[:, :, 0, 1] = 0.5
    views = augmented(spot, _draws(0, 4000), PAPER)
    assert views.min() >= 0
    assert views.max() <= 1
    assert _places(PAPER) == pytest.approx(dict.fromkeys((1, 2, 13, 14), 0.25), abs=0.05)
    assert torch.equal(spot[0], spot[1])
    brightest = views.flatten(1).amax(dim=1)
    assert 0.2**1.5 - 1e-6 <= brightest.min() < 0.12
    assert 0.85 < brightest.max() <= 0.8**0.5 + 1e-6


def test_transposition_gives_all_eight_orientations() -> None:
    config = ONLY_FLIPPED.model_copy(update={"transpose": True})
    assert _places(config) == pytest.approx(
        dict.fromkeys((1, 2, 4, 7, 8, 11, 13, 14), 0.125), abs=0.03
    )


def test_a_gain_is_drawn_between_its_limits() -> None:
    config = ONLY_FLIPPED.model_copy(update={"gain": (0.5, 2.0)})
    means = augmented(torch.full((4000, 1, 4, 4), 0.2), _draws(0, 4000), config).mean(dim=(1, 2, 3))
    assert means.aminmax() == pytest.approx((0.1, 0.4), abs=1e-3)
    assert means.mean().item() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("shape", [(24, 24), (17, 30)])
def test_blurred_views_are_those_of_scipy(shape: tuple[int, int]) -> None:
    config = ONLY_FLIPPED.model_copy(update={"blur_share": 0.5, "blur_px": (0.5, 1.5)})
    views = torch.rand(40, 2, *shape, generator=torch.Generator().manual_seed(3))
    draws = _draws(4, 40, 2)
    draws[:2] = 1  # no flips
    got = augmented(views, draws, config).numpy()
    is_blurred = (draws[6] < 0.5).numpy()
    assert 20 < is_blurred.sum() < 60
    for view, channel in np.ndindex(40, 2):
        want = views[view, channel].numpy()
        if is_blurred[view, channel]:
            sigma = 0.5 + draws[7, view, channel].item()
            want = gaussian_filter(want, sigma, mode="nearest", radius=5)
        np.testing.assert_allclose(got[view, channel], want, atol=1e-6)


def test_noise_has_the_standard_deviation_that_is_drawn() -> None:
    grey, draws = torch.full((3, 1, 100, 100), 0.5), torch.tensor([[0.0], [0.5], [1.0]])
    noise = torch.randn(grey.shape, generator=torch.Generator().manual_seed(0))
    spread = noisy(grey, noise, draws, 0.1).std(dim=(1, 2, 3))
    np.testing.assert_allclose(spread, [0, 0.05, 0.1], rtol=0.03)


def test_channels_of_a_view_are_flipped_together_and_changed_each_by_itself() -> None:
    views = torch.rand(500, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    views[:, 1] = views[:, 0]
    first, second = augmented(views, _draws(1, 500, 2), PAPER).unbind(dim=1)
    assert (first != second).any(dim=(1, 2)).all()
    np.testing.assert_array_equal(first.flatten(1).argmax(1), second.flatten(1).argmax(1))


def test_saturation_noise_is_a_share_of_the_pixels() -> None:
    draws = torch.rand(20, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    views = saturated(torch.zeros(20, 1, 32, 32), draws, 0.1)
    assert views.unique().tolist() == [0, 1]
    assert views.mean().item() == pytest.approx(0.1, abs=0.01)
