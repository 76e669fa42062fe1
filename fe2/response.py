"""Answers of micro models: of one point, and of many as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fe2.arrays import Array as Array
from fe2.arrays import Ints
from fe2.errors import MicroSolveError, OutsideRangeError

SOLVED, FAILED, OUTSIDE, NOT_ASKED = range(4)
"""Status of a point: it has an answer, none was found, it was asked outside of its range, or not at all."""

_NOT_FINITE = "the micro model gave a flux or a tangent that is not finite, or left one out"


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
    iterations: int = 0
    cost: float = 0.0


@dataclass
class Answers:
    """Answers for n points, which a micro model fills.

    Attributes:
        flux: Volume-averaged fluxes, shape (n, m).
        tangent: Their consistent derivatives with respect to the gradients, shape (n, m, m).
        status: SOLVED where there is an answer, else FAILED or OUTSIDE, shape (n,); see :meth:`fail`.
        iterations: Linear systems solved on the way to equilibrium, shape (n,).
        cost: Seconds that each point took, shape (n,); measured by who asks.
        errors: What went wrong, by number of the point.
    """

    flux: Array
    tangent: Array
    status: Ints
    iterations: Ints
    cost: Array
    errors: dict[int, MicroSolveError] = field(default_factory=dict)

    @classmethod
    def empty(cls, points: int, components: int) -> Answers:
        """Room for the answers of so many points."""
        answers = cls.of(np.empty((points, row_size(components))), components)
        answers.begin()
        answers.cost[:] = 0.0
        return answers

    @classmethod
    def of(cls, table: Array, components: int) -> Answers:
        """Views of a table of shape (n, m + m² + 3): flux, tangent, cost, status and iterations."""
        n, m = len(table), components
        status, iterations = table[:, -2:].view(np.int64).T
        tangent = table[:, m : m + m * m].reshape(n, m, m)
        return cls(table[:, :m], tangent, status, iterations, table[:, -3])

    def begin(self) -> None:
        """Nothing is answered yet: what is left as it is now is not finite."""
        self.flux[:], self.tangent[:] = np.nan, np.nan
        self.status[:], self.iterations[:] = SOLVED, 0

    def put(self, point: int | slice, response: Response) -> None:
        """The answer of one point, or of several alike."""
        self.flux[point], self.tangent[point] = response.flux, response.tangent
        self.iterations[point] = response.iterations

    def fail(self, points: Any, error: MicroSolveError) -> None:
        """One point, or several, have no answer: an array of numbers, a mask, or one number."""
        status = OUTSIDE if isinstance(error, OutsideRangeError) else FAILED
        for point in np.arange(len(self.status))[points].reshape(-1).tolist():
            self.status[point], self.errors[point] = status, error

    def check(self) -> None:
        """Points whose flux or tangent is not finite have no answer."""
        if np.isfinite(self.flux.sum() + self.tangent.sum()):
            return  # as nearly always, and quicker than to look at every number
        finite = np.isfinite(self.flux).all(axis=1) & np.isfinite(self.tangent).all(axis=(1, 2))
        if np.any(bad := ~finite & (self.status == SOLVED)):
            self.fail(bad, MicroSolveError(_NOT_FINITE))

    def take(self, points: Ints, others: Answers) -> None:
        """The answers of some points are those of others, shape (k,)."""
        for name in ("flux", "tangent", "status", "iterations"):
            getattr(self, name)[points] = getattr(others, name)
        for point in points.tolist():
            self.errors.pop(point, None)
        self.errors |= {int(points[k]): error for k, error in others.errors.items()}

    def response(self, point: int) -> Response:
        """The answer of one point.

        Raises:
            MicroSolveError: It has none.
        """
        if self.status[point] != SOLVED:
            raise self.errors[point]
        return Response(
            self.flux[point].copy(), self.tangent[point].copy(), int(self.iterations[point]), self.cost[point]
        )


def row_size(components: int) -> int:
    """Numbers of an answer in a table: flux, tangent, cost, status and iterations."""
    return components + components**2 + 3
