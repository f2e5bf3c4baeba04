"""Flips and intensity changes of batches of views, computed on their device.

Source: the 'flip' and 'color' augmentations of Kim et al. 2025 ("Self-supervision advances
morphological profiling by unlocking powerful image representations") as uniDINO uses them.
"""

import torch
from torch import Generator, Tensor

SHIFT = 0.3
GAMMA = (0.5, 1.5)
NUM_DRAWS = 4


def augmented(views: Tensor, draws: Tensor) -> Tensor:
    """Views (N, C, H, W) in [0, 1], flipped at random, each channel with a random shift and gamma.

    draws: (4, N, C), uniform in [0, 1). The first two flip a view horizontally and vertically with
    probability 1/2 each; the draws of the first channel decide for all. The others change a
    channel's intensity x to clamp(x + U(-0.3, 0.3), 0, 1) to the power U(0.5, 1.5).
    """
    draws = draws.to(views.device)[..., None, None]
    views = torch.where(draws[0, :, :1] < 0.5, views.flip(-1), views)
    views = torch.where(draws[1, :, :1] < 0.5, views.flip(-2), views)
    shift = (2 * draws[2] - 1) * SHIFT
    gamma = GAMMA[0] + (GAMMA[1] - GAMMA[0]) * draws[3]
    return (views + shift).clamp_(0, 1).pow_(gamma)


def saturated(views: Tensor, share: float, generator: Generator) -> Tensor:
    """Views with a share of their pixels, drawn at random, set to the maximum of 1."""
    draws = torch.rand(views.shape, generator=generator).to(views.device)
    return torch.where(draws < share, 1.0, views)
