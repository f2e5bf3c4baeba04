"""Patch features: how near the patches of a crop are to centres that k-means found.

A strong baseline without deep learning. Patches are whitened; the whitening and the centres are
learnt from images in seconds.

Shapes: N crops, S side of a crop, M patches, F pixels of a patch, K centres, H and W positions of
patches.
Source: Coates, Lee & Ng 2011, "An analysis of single-layer networks in unsupervised feature
learning", proceedings.mlr.press/v15/coates11a.html.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

PATCH_PX = 8  # after pooling
POOLING = 2
# Of the mean eigenvalue. It decides: with less, the noise of the camera dominates the distances.
_RIDGE = 0.1
# k-means takes at least so many minibatches: those of the fewest whole passes over the patches.
_MINIBATCH, _NUM_MINIBATCHES = 4096, 150
# Maps of few crops fit the caches of a CPU core; those of many keep a GPU busy.
_BYTES_AT_ONCE = {"cpu": 2**23, "cuda": 2**30}


class Codebook(nn.Module):
    """Embeds crops (N, 1, S, S) in [0, 1] as the mean activation (N, K) of every centre.

    A crop is pooled by its means of 2×2 px, and cut into patches at every position. The activation
    of a centre at a patch is max(0, mean distance of the patch to all centres - distance to this
    centre), the triangle of Coates et al.
    whitening: (F, F); centres: (K, F), of whitened patches; mean: (F,), of patches.
    """

    whitening: Tensor
    centres: Tensor
    mean: Tensor

    def __init__(self, num_dims: int, patch_px: int = PATCH_PX, pooling: int = POOLING) -> None:
        super().__init__()
        self.num_dims, self.patch_px, self.pooling = num_dims, patch_px, pooling
        num_pixels = patch_px**2
        self.register_buffer("whitening", torch.eye(num_pixels))
        self.register_buffer("centres", torch.zeros(num_dims, num_pixels))
        self.register_buffer("mean", torch.zeros(num_pixels))

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings (N, K) of crops (N, 1, S, S), in single precision also under autocast."""
        with torch.autocast(crops.device.type, enabled=False):
            return self._embed(crops.float())

    def _embed(self, crops: Tensor) -> Tensor:
        """Embeddings (N, K) of crops (N, 1, S, S); what needs much memory is done in parts."""
        pooled = F.avg_pool2d(crops, self.pooling)
        positions = [side - self.patch_px + 1 for side in pooled.shape[-2:]]
        num_bytes = 4 * positions[0] * positions[1] * (len(self.mean) + self.num_dims)
        at_once = max(1, _BYTES_AT_ONCE[crops.device.type] // num_bytes)
        return torch.cat([self._mean_activations(some) for some in torch.split(pooled, at_once)])

    def _mean_activations(self, pooled: Tensor) -> Tensor:
        """Mean activations (N, K) over the patches of pooled crops (N, 1, S, S)."""
        whitening = self.whitening.view(-1, 1, self.patch_px, self.patch_px)
        patches = F.conv2d(pooled, whitening, -self.whitening @ self.mean)
        # |x - c|^2 = |x|^2 + (|c|^2 - 2 x c), without the differences (N, K, F, H, W). The terms
        # cancel where a patch is near a centre: half precision would lose such distances.
        squares = self.centres.square().sum(dim=1)
        distances = F.conv2d(patches, -2 * self.centres[:, :, None, None], squares)
        distances += patches.square().sum(dim=1, keepdim=True)
        distances = distances.clamp_min_(0).sqrt_()
        nearness = distances.mean(dim=1, keepdim=True) - distances
        return nearness.relu_().mean(dim=(2, 3))


def pooled_patches(planes: Tensor, patch_px: int, pooling: int) -> Tensor:
    """Patches (N, H, W, patch_px, patch_px) at every position of planes (N, S, S): a view."""
    return F.avg_pool2d(planes, pooling).unfold(1, patch_px, 1).unfold(2, patch_px, 1)


def fit_codebook(
    codebook: Codebook, patches: NDArray[np.float32], seed: int, *, ridge: float = _RIDGE
) -> None:
    """Learn the whitening and the centres of a codebook from patches (M, P, P), pooled already.

    ridge: is added to the eigenvalues of the covariance of the patches, times their mean.
    """
    from sklearn.cluster import MiniBatchKMeans

    flat = patches.reshape(len(patches), -1)
    mean = flat.mean(axis=0, dtype=np.float64)
    whitening = _whitening(flat, ridge)
    whitened = ((flat - mean) @ whitening).astype(np.float32)
    means = MiniBatchKMeans(
        codebook.num_dims,
        n_init=1,
        batch_size=_MINIBATCH,
        max_iter=math.ceil(_NUM_MINIBATCHES * _MINIBATCH / len(flat)),
        # All passes are made: when to stop early would depend on rounding.
        max_no_improvement=None,
        random_state=seed % 2**32,
    ).fit(whitened)
    codebook.mean.copy_(torch.from_numpy(mean))
    codebook.whitening.copy_(torch.from_numpy(whitening))
    codebook.centres.copy_(torch.from_numpy(means.cluster_centers_))


def _whitening(flat: NDArray[Any], ridge: float) -> NDArray[np.float64]:
    """The symmetric matrix (F, F) by which patches (M, F) get about covariance 1."""
    values, axes = np.linalg.eigh(np.cov(flat, rowvar=False))
    whitening: NDArray[np.float64] = (axes / np.sqrt(values + ridge * values.mean())) @ axes.T
    return whitening
