"""Who is asked and for what: macroscopic points with their parameters, and the time step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fe2.arrays import Array, Ints

TURNED_BY = {2: "angle", 3: "rotation"}
"""Parameter of a point that turns the axes of its cell, by their number."""


@dataclass(frozen=True)
class Step:
    """The time step, and what is wanted of the micro models in it.

    Attributes:
        dt: Length of the step.
        time: Its end.
        wanted: "exact" solves to the full tolerance, from the committed state, with the consistent tangent.
            "approach" starts from the last evaluation and stops at `accuracy`. "anticipate" stays at the
            gradient of the last evaluation, and gives the tangent for the way to the one that is handed
            over. "polish" brings the last evaluation, whose gradient is handed over, to the full tolerance;
            it has to come before a commit.
        accuracy: Norm of a cell's residual, relative to the forces in it, that an approach may leave.
    """

    dt: float
    time: float = 0.0
    wanted: Literal["exact", "approach", "anticipate", "polish"] = "exact"
    accuracy: float = 0.0


@dataclass(frozen=True)
class Point:
    """A macroscopic point.

    Attributes:
        number: Its number, which no partition of the macroscopic mesh changes.
        coordinates: Where it is, shape (dim,); nothing where it is nowhere.
        parameters: Its parameters by name, each of the shape that the law was given.
    """

    number: int = 0
    coordinates: Array = field(default_factory=lambda: np.zeros(0))
    parameters: Mapping[str, Array] = field(default_factory=dict)


NOWHERE = Point()
"""The point of a model that is asked outside of any macroscopic problem."""


@dataclass(frozen=True)
class Points:
    """Macroscopic points, n of them.

    Attributes:
        number: Their numbers, which no partition of the macroscopic mesh changes, shape (n,).
        coordinates: Where they are, shape (n, dim).
        parameters: Their parameters by name, each of shape (n, ...).
    """

    number: Ints
    coordinates: Array
    parameters: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def numbered(cls, count: int) -> Points:
        """Points of which nothing is known but their number."""
        return cls(np.arange(count), np.zeros((count, 0)))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.number)

    def __getitem__(self, chosen: Ints | slice) -> Points:
        """Some of the points."""
        parameters = {name: values[chosen] for name, values in self.parameters.items()}
        return Points(self.number[chosen], self.coordinates[chosen], parameters)

    def __iter__(self) -> Iterator[Point]:
        """One after the other."""
        return map(self.point, range(len(self)))

    def point(self, k: int) -> Point:
        """One of the points."""
        parameters = {name: values[k] for name, values in self.parameters.items()}
        return Point(int(self.number[k]), self.coordinates[k], parameters)


def only(point: Point) -> Points:
    """One point as points."""
    parameters = {name: np.asarray(value)[None] for name, value in point.parameters.items()}
    return Points(np.array([point.number]), np.asarray(point.coordinates)[None], parameters)
