"""Views are augmented as documented."""

import numpy as np
import pytest
import torch

from unidino.training.augment import augmented, saturated


def test_views_are_flipped_shifted_and_gamma_changed_as_documented() -> None:
    spot = torch.zeros(4000, 1, 4, 4)
    spot[:, :, 0, 1] = 0.5
    views = augmented(spot, torch.rand(4, 4000, 1, generator=torch.Generator().manual_seed(0)))
    assert views.min() >= 0
    assert views.max() <= 1
    places = views[:, 0].flatten(1).argmax(dim=1)
    for place in (1, 2, 13, 14):
        assert 0.2 < (places == place).float().mean() < 0.3
    assert torch.equal(spot[0], spot[1])
    brightest = views.flatten(1).amax(dim=1)
    assert 0.2**1.5 - 1e-6 <= brightest.min() < 0.12
    assert 0.85 < brightest.max() <= 0.8**0.5 + 1e-6


def test_channels_of_a_view_are_flipped_together_and_changed_each_by_itself() -> None:
    views = torch.rand(500, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    views[:, 1] = views[:, 0]
    draws = torch.rand(4, 500, 2, generator=torch.Generator().manual_seed(1))
    first, second = augmented(views, draws).unbind(dim=1)
    assert (first != second).any(dim=(1, 2)).all()
    np.testing.assert_array_equal(first.flatten(1).argmax(1), second.flatten(1).argmax(1))


def test_saturation_noise_is_a_share_of_the_pixels() -> None:
    views = saturated(torch.zeros(20, 1, 32, 32), 0.1, torch.Generator().manual_seed(0))
    assert views.unique().tolist() == [0, 1]
    assert views.mean().item() == pytest.approx(0.1, abs=0.01)
