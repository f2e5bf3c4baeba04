"""Flips and changes of focus, intensity and noise of batches of views, computed on their device.

Shapes: N views, C channels, H x W pixels.
Source: the 'flip' and 'color' augmentations of Kim et al. 2025 ("Self-supervision advances
morphological profiling by unlocking powerful image representations") as uniDINO uses them. The
paper's recipe has no other change.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from unidino.training.recipe import TrainConfig

NUM_DRAWS = 8


def augmented(views: Tensor, draws: Tensor, config: TrainConfig) -> Tensor:
    """Views (N, C, H, W) in [0, 1], changed as the configuration says.

    draws: (8, N, C), uniform in [0, 1). A view is flipped horizontally, vertically and, if so
    configured, along its diagonal, with probability 1/2 each; the draws of the first channel decide
    for all. Then each channel x is blurred and becomes clamp(gain * x + shift, 0, 1) ** gamma.
    """
    draws = draws.to(views.device)[..., None, None]
    views = torch.where(draws[0, :, :1] < 0.5, views.flip(-1), views)
    views = torch.where(draws[1, :, :1] < 0.5, views.flip(-2), views)
    if config.transpose:
        views = torch.where(draws[4, :, :1] < 0.5, views.transpose(-1, -2), views)
    if config.blur_share:
        views = _some_blurred(views, draws[6:8], config)
    if config.gain != (1, 1):
        views = views * _between(config.gain, draws[5])
    shift = _between((-config.shift, config.shift), draws[2])
    return (views + shift).clamp_(0, 1).pow_(_between(config.gamma, draws[3]))


def noisy(views: Tensor, noise: Tensor, draws: Tensor, largest: float) -> Tensor:
    """Views (N, C, H, W) in [0, 1] with camera noise of standard deviation U(0, largest).

    noise: (N, C, H, W), standard normal. draws: (N, C), uniform in [0, 1).
    """
    spread = largest * draws.to(views.device)[..., None, None]
    return torch.addcmul(views, noise.to(views.device), spread).clamp_(0, 1)


def saturated(views: Tensor, draws: Tensor, share: float) -> Tensor:
    """Views (N, C, H, W) with a share of their pixels set to the maximum of 1.

    draws: (N, C, H, W), uniform in [0, 1).
    """
    return torch.where(draws.to(views.device) < share, 1.0, views)


def _some_blurred(views: Tensor, draws: Tensor, config: TrainConfig) -> Tensor:
    """Views of which a share is blurred by a Gaussian. draws: (2, N, C, 1, 1)."""
    chosen = (draws[0] < config.blur_share)[..., 0, 0]
    sigma = _between(config.blur_px, draws[1])[chosen]
    blurred = views.clone()
    blurred[chosen] = _blurred(views[chosen], sigma, math.ceil(3 * config.blur_px[1]))
    return blurred


def _blurred(planes: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Planes (N, H, W) blurred with standard deviations (N, 1, 1), px; edge pixels are repeated.

    A sum of shifted planes is faster on a CPU than a convolution with a kernel for each plane.
    """
    distance = torch.arange(radius + 1, device=planes.device)
    weights = torch.exp(-0.5 * (distance / sigma) ** 2)
    weights = weights / (2 * weights.sum(dim=-1, keepdim=True) - weights[..., :1])
    for axis in (-1, -2):
        size = planes.shape[axis]
        pad = (radius, radius, 0, 0) if axis == -1 else (0, 0, radius, radius)
        wide = F.pad(planes.unsqueeze(1), pad, mode="replicate").squeeze(1)
        planes = wide.narrow(axis, radius, size) * weights[..., :1]
        for k in range(1, radius + 1):
            both = wide.narrow(axis, radius - k, size) + wide.narrow(axis, radius + k, size)
            planes.addcmul_(both, weights[..., k : k + 1])
    return planes


def _between(limits: tuple[float, float], draws: Tensor) -> Tensor:
    low, high = limits
    return low + (high - low) * draws
