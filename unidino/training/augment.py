"""Flips and intensity changes on batches of views, on the device they are on.

Source: the 'flip' and 'color' augmentations of Kim et al. 2025 ("Self-supervision advances
morphological profiling by unlocking powerful image representations") as uniDINO uses them.
"""

import torch
from torch import Generator, Tensor

SHIFT = 0.3
GAMMA = (0.5, 1.5)
NUM_DRAWS = 4


def augmented(views: Tensor, draws: Tensor) -> Tensor:
    """Views (N, C, H, W) in [0, 1], each flipped, their channels shifted and gamma-changed.

    draws: (4, N, C), uniform in [0, 1): horizontal and vertical flip with probability 1/2 each, by
    a view's first channel; then intensity + U(-0.3, 0.3), clamped to [0, 1], to the power
    U(0.5, 1.5).
    """
    draws = draws.to(views.device)[..., None, None]
    views = torch.where(draws[0, :, :1] < 0.5, views.flip(-1), views)
    views = torch.where(draws[1, :, :1] < 0.5, views.flip(-2), views)
    shift = (2 * draws[2] - 1) * SHIFT
    gamma = GAMMA[0] + (GAMMA[1] - GAMMA[0]) * draws[3]
    return (views + shift).clamp_(0, 1).pow_(gamma)


def saturated(views: Tensor, share: float, generator: Generator) -> Tensor:
    """Views with a share of their pixels, drawn at random, at the maximum of 1."""
    draws = torch.rand(views.shape, generator=generator).to(views.device)
    return torch.where(draws < share, 1.0, views)
