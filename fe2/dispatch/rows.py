"""State rows of the points that a rank holds, with what is asked of them and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from fe2.response import Response, Responses

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """Sizes of the tables of some points.

    Attributes:
        points: Number n of points.
        state: Length of a state row.
        gradient: Number m of gradient components.
    """

    points: int
    state: int
    gradient: int

    @property
    def answer(self) -> int:
        """Numbers of an answer: flux, tangent, iterations, cost."""
        return self.gradient + self.gradient**2 + 2

    @property
    def numbers(self) -> int:
        """Numbers of all tables together."""
        return self.points * (2 * self.state + self.gradient + self.answer + 4)


class Rows:
    """Tables of n points in one piece of memory, which may be shared with other processes.

    The trial row of a point is made from its committed one when the point is first evaluated, and a
    commit exchanges the two tables: no table is ever copied as a whole, and memory of trial rows
    is not touched before it is needed.

    Attributes:
        shape: Sizes.
        committed: Committed states, shape (n, state).
        gradients: Gradients of this evaluation, shape (n, m).
        answers: Flux, tangent, iterations and cost of each point, shape (n, answer).
        order: Points in the order in which they are to be solved, shape (n,).
        waiting: Estimated cost of the points from each place in that order to its end, shape (n,).
        numbers: Numbers of the points among those of all ranks, shape (n,).
    """

    def __init__(self, memory: Array, shape: Shape) -> None:
        """Lay the tables out in memory of `shape.numbers` numbers that are zero."""
        n, self.shape = shape.points, shape
        widths = (shape.state, shape.state, shape.gradient, shape.answer, 1, 1, 1, 1)
        ends = np.cumsum([n * width for width in widths])
        parts = np.split(memory[: ends[-1]], ends[:-1])
        self.committed, self._trial, self.gradients, self.answers = (
            part.reshape(n, width) for part, width in zip(parts[:4], widths[:4], strict=True)
        )
        self.order: Indices = parts[4].view(np.int64)
        self.waiting = parts[5]
        self.numbers: Indices = parts[6].view(np.int64)
        self._evaluated: Indices = parts[7].view(np.int64)

    @classmethod
    def private(cls, shape: Shape) -> Self:
        """Tables in memory of this process."""
        return cls(np.zeros(shape.numbers), shape)

    def begin(self, point: int) -> Array:
        """Trial row of a point, which holds its last evaluation or else its committed row."""
        trial: Array = self._trial[point]
        if not self._evaluated[point]:
            trial[:] = self.committed[point]
        return trial

    def put(self, point: int, response: Response, cost: float) -> None:
        """Keep the answer of a point, whose trial row is then that of its last evaluation."""
        m = self.shape.gradient
        answer = self.answers[point]
        answer[:m], answer[m:-2] = response.flux, response.tangent.reshape(-1)
        answer[-2:] = response.iterations, cost
        self._evaluated[point] = 1

    def forget(self, point: int) -> None:
        """The trial row of a point was spoiled: it begins with the committed one again."""
        self._evaluated[point] = 0

    def schedule(self, costs: Array) -> None:
        """Order of the next evaluation, the most expensive points first."""
        self.order[:] = np.argsort(-costs, kind="stable")
        self.waiting[:] = np.cumsum(costs[self.order][::-1])[::-1]

    def complete(self) -> None:
        """Before a commit: the trial row of a point that was not evaluated is its committed one."""
        left = np.flatnonzero(self._evaluated == 0)
        self._trial[left] = self.committed[left]
        self._evaluated[:] = 0

    def exchange(self) -> None:
        """Trial rows become the committed ones; every process that maps the tables calls this."""
        self.committed, self._trial = self._trial, self.committed

    def rollback(self) -> None:
        """Trial rows are forgotten."""
        self._evaluated[:] = 0


def responses_of(answers: Array, m: int) -> Responses:
    """Answers of shape (n, m + m² + 2) as responses."""
    n = len(answers)
    return Responses(
        flux=answers[:, :m].copy(),
        tangent=answers[:, m:-2].reshape(n, m, m),
        iterations=answers[:, -2].astype(np.int64),
        cost=answers[:, -1].copy(),
    )
