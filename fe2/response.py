"""Answers of micro models: one, and many of them as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass

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

    @property
    def is_finite(self) -> bool:
        """Whether flux and tangent are numbers."""
        return bool(np.isfinite(self.flux).all() and np.isfinite(self.tangent).all())


@dataclass(frozen=True)
class Responses:
    """Answers for n points: flux (n, m), tangent (n, m, m), iterations (n,), cost in seconds (n,)."""

    flux: Array
    tangent: Array
    iterations: npt.NDArray[np.int64]
    cost: Array
