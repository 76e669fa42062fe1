"""State rows of the points that a rank holds, with what is asked of them and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from fe2.arrays import Array, Mask
from fe2.response import row_size


@dataclass(frozen=True)
class Shape:
    """Sizes of the tables of some points.

    Attributes:
        points: Number n of points.
        state: Length of a state row.
        gradient: Number m of gradient components.
        facts: Numbers that are known of a point: its coordinates and parameters.
    """

    points: int
    state: int
    gradient: int
    facts: int = 3

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of a point in each of the tables."""
        return (self.state, self.state, self.gradient, row_size(self.gradient), self.facts, 1, 1, 1, 1, 1)

    @property
    def numbers(self) -> int:
        """Numbers of all tables together."""
        return self.points * sum(self.widths)


class Rows:
    """Tables of n points in one piece of memory, which may be shared with other processes.

    The trial row of a point is made from its committed one when the point is first evaluated, and a
    commit exchanges the two tables: no table is ever copied as a whole, and memory of trial rows
    is not touched before it is needed.

    Attributes:
        shape: Sizes.
        committed: Committed states, shape (n, state).
        gradients: Gradients of this evaluation, shape (n, m).
        answers: Answer of each point, see :meth:`fe2.response.Answers.of`.
        facts: Coordinates and parameters of each point, shape (n, facts).
        identities: Numbers of the points that no partition changes, shape (n,).
        order: Points in the order in which they are to be solved, shape (n,).
        waiting: Estimated cost of the points from each place in that order to its end, shape (n,).
        numbers: Numbers of the points among those of all ranks as they own them, shape (n,).
    """

    def __init__(self, memory: Array, shape: Shape) -> None:
        """Lay the tables out in memory of `shape.numbers` numbers that are zero."""
        n, self.shape = shape.points, shape
        ends = np.cumsum([n * width for width in shape.widths])
        parts = np.split(memory[: ends[-1]], ends[:-1])
        self.committed, self._trial, self.gradients, self.answers, self.facts = (
            part.reshape(n, width) for part, width in zip(parts[:5], shape.widths[:5], strict=True)
        )
        self.waiting = parts[5]
        self.identities, self.order, self.numbers, self._evaluated = (
            part.view(np.int64) for part in parts[6:]
        )

    @classmethod
    def private(cls, shape: Shape) -> Self:
        """Tables in memory of this process."""
        return cls(np.zeros(shape.numbers), shape)

    def begin(self, part: slice) -> Array:
        """Trial rows of some points, each of which holds its last evaluation or else its committed row."""
        fresh = part.start + np.flatnonzero(self._evaluated[part] == 0)
        if len(fresh) == part.stop - part.start:
            self._trial[part] = self.committed[part]
        else:
            self._trial[fresh] = self.committed[fresh]
        return self._trial[part]

    def end(self, part: slice, solved: Mask, *, spoiled: bool) -> None:
        """Trial rows of points with an answer are those of their last evaluation.

        Args:
            part: Points that were asked.
            solved: Which of them have an answer.
            spoiled: Whether those of the others begin with the committed ones again.
        """
        if spoiled:
            self._evaluated[part] = solved
        else:
            self._evaluated[part] |= solved

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
