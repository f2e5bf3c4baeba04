"""Tiles: blocks of the cosine matrix, computed by numpy on the CPU or by torch on a device.

Shapes: N profiles, D features.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unidino.scores.keys import Codes

QUERY_BLOCK = 1024
REFERENCE_BLOCK = 8192


class Tiles(Protocol):
    """A block of the cosine matrix; minus infinity for pairs that may not be neighbours."""

    def multiply(self, queries: slice, references: slice) -> None:
        """Compute the block of these rows (queries) and columns (references)."""

    def kth_largest(self, k: int, axis: int) -> NDArray[np.float32]:
        """The k-th largest value of each row (axis 1) or column (axis 0), or minus infinity."""

    def at_least(
        self, floor: NDArray[np.float32], axis: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Rows, columns and values not below the floor of their row (axis 1) or column (axis 0)."""


class NumpyTiles:
    """Tiles of unit vectors (N, D) in numpy."""

    def __init__(self, unit: NDArray[np.float32], keys: list[Codes]) -> None:
        self._unit, self._keys = unit, keys
        shape = (min(QUERY_BLOCK, len(unit)), min(REFERENCE_BLOCK, len(unit)))
        # Reused, because allocating a new tile takes a tenth of the time of the product.
        self._values, self._flags = np.empty(shape, np.float32), np.empty(shape, np.bool_)

    def multiply(self, queries: slice, references: slice) -> None:
        num_rows, num_columns = queries.stop - queries.start, references.stop - references.start
        whole = (num_rows, num_columns) == self._values.shape
        self.tile = self._values if whole else np.empty((num_rows, num_columns), np.float32)
        self.flag = self._flags if whole else np.empty((num_rows, num_columns), np.bool_)
        np.matmul(self._unit[queries], self._unit[references].T, out=self.tile)
        for of_reason in self._keys:
            for codes in of_reason[:, queries]:
                # No reference has the code -2, so queries without a key match no reference.
                asked = np.where(codes < 0, -2, codes)[:, None]
                for others in of_reason[:, references]:
                    np.equal(asked, others[None, :], out=self.flag)
                    np.copyto(self.tile, -np.inf, where=self.flag)
        both = np.arange(max(queries.start, references.start), min(queries.stop, references.stop))
        self.tile[both - queries.start, both - references.start] = -np.inf

    def kth_largest(self, k: int, axis: int) -> NDArray[np.float32]:
        if k == 1:
            return np.asarray(self.tile.max(axis=axis))
        num = self.tile.shape[axis]
        if k > num:
            return np.full(self.tile.shape[1 - axis], -np.inf, np.float32)
        return np.asarray(np.partition(self.tile, num - k, axis=axis).take(num - k, axis=axis))

    def at_least(
        self, floor: NDArray[np.float32], axis: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        lowest = np.maximum(floor, np.finfo(np.float32).min)
        np.greater_equal(self.tile, np.expand_dims(lowest, axis), out=self.flag)
        rows, columns = np.divmod(np.flatnonzero(self.flag), self.tile.shape[1])
        return rows, columns, self.tile[rows, columns]


class TorchTiles:
    """Tiles of unit vectors (N, D) in torch, on a device."""

    def __init__(self, unit: NDArray[np.float32], keys: list[Codes], device: str) -> None:
        import torch

        from unidino.embeddings.forward import device_of

        self._torch = torch
        place = device_of(device)
        self._unit = torch.from_numpy(unit).to(place)
        self._keys = [torch.from_numpy(codes).to(place) for codes in keys]

    def multiply(self, queries: slice, references: slice) -> None:
        self.tile = self._unit[queries] @ self._unit[references].T
        for of_reason in self._keys:
            for codes in of_reason[:, queries]:
                for others in of_reason[:, references]:
                    shared = (codes[:, None] == others[None, :]) & (codes[:, None] >= 0)
                    self.tile.masked_fill_(shared, -self._torch.inf)
        first = max(queries.start, references.start)
        both = self._torch.arange(first, max(first, min(queries.stop, references.stop)))
        self.tile[both - queries.start, both - references.start] = -self._torch.inf

    def kth_largest(self, k: int, axis: int) -> NDArray[np.float32]:
        if k > self.tile.shape[axis]:
            return np.full(self.tile.shape[1 - axis], -np.inf, np.float32)
        if k == 1:
            largest = self.tile.amax(dim=axis)
        else:
            largest = self.tile.topk(k, dim=axis).values.select(axis, k - 1)
        values: NDArray[np.float32] = largest.cpu().numpy()
        return values

    def at_least(
        self, floor: NDArray[np.float32], axis: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        lowest = self._torch.from_numpy(np.maximum(floor, np.finfo(np.float32).min))
        reaches = self.tile >= lowest.to(self.tile.device).unsqueeze(axis)
        rows, columns = reaches.nonzero(as_tuple=True)
        return rows.cpu().numpy(), columns.cpu().numpy(), self.tile[rows, columns].cpu().numpy()
