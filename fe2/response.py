"""Answers of micro models: one, and many of them as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Response:
    """Answer of a micro model to one macroscopic gradient.

    Attributes:
        flux: Volume-averaged flux, shape (m,).
        tangent: Its consistent derivative with respect to the gradient, shape (m, m).
        iterations: Linear systems solved on the way to equilibrium.
        cost: Seconds that it took.
    """

    flux: Array
    tangent: Array
    iterations: int
    cost: float


@dataclass(frozen=True)
class Responses:
    """Answers for n points: flux (n, m), tangent (n, m, m), iterations (n,), cost in seconds (n,)."""

    flux: Array
    tangent: Array
    iterations: npt.NDArray[np.int64]
    cost: Array

    @classmethod
    def empty(cls, points: int, size: int) -> Self:
        """Room for the answers of `points` points with gradients of `size` components."""
        return cls(
            np.zeros((points, size)),
            np.zeros((points, size, size)),
            np.zeros(points, np.int64),
            np.zeros(points),
        )

    def put(self, point: int, response: Response) -> None:
        """Store the answer of one point."""
        self.flux[point], self.tangent[point] = response.flux, response.tangent
        self.iterations[point], self.cost[point] = response.iterations, response.cost
