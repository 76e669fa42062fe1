"""Element size that falls towards given places: narrow gaps, and elements that came out inverted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .periodic_images import images

FloatArray = npt.NDArray[np.float64]

GROWTH = 0.5  # increase of the element size per distance from a place


class SizeField:
    """Periodic element size min_k (h_k + GROWTH |x − x_k|), the callback that gmsh asks for sizes.

    Args:
        period: Edge lengths of the cell, shape (dim,).
        positions: Places x_k, shape (n, dim), or (n, 2) for lines along the third axis.
        sizes: Element sizes h_k there, shape (n,).
    """

    def __init__(self, period: FloatArray, positions: FloatArray, sizes: FloatArray) -> None:
        self._period, self._positions, self._sizes = period, positions, sizes

    def __call__(self, dim: int, tag: int, x: float, y: float, z: float, proposed: float) -> float:
        """Size at a point, at most the proposed one."""
        place = (x, y, z)[: self._positions.shape[1]]
        distance = np.linalg.norm(self._positions - place, axis=1)
        return float(np.min(self._sizes + GROWTH * distance, initial=proposed))

    def refine(self, positions: FloatArray, sizes: FloatArray) -> None:
        """Demand smaller elements at further places and at their periodic images."""
        dim = self._positions.shape[1]
        copies = positions[:, None, :dim] + images(dim) * self._period[:dim]
        self._positions = np.concatenate([self._positions, copies.reshape(-1, dim)])
        self._sizes = np.concatenate([self._sizes, np.repeat(sizes, 3**dim)])
