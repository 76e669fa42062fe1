"""The contract of a pool, which evaluates the micro models of many points wherever they live."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fe2.dispatch.rows import Rows
from fe2.dispatch.traffic import Traffic
from fe2.errors import MicroSolveError, OutsideRangeError
from fe2.micro.model import EXACT, MicroModel, Request, answer
from fe2.response import Responses
from fe2.unchanged import read_only, unchanged

Array = npt.NDArray[np.float64]

Progress = Callable[[int, int], None]
"""Called with the number of points done and the number of all points of this rank."""


class PointError(MicroSolveError):
    """A micro model failed at one point.

    Attributes:
        point: Number of the point among those of this rank, -1 where another rank owns it.
        outside: Whether it was asked outside of the range in which it holds.
    """

    def __init__(self, message: str, point: int = -1, *, outside: bool = False) -> None:
        super().__init__(message)
        self.point, self.outside = point, outside

    def located(self, text: str) -> MicroSolveError:
        """The error that a user meets, with this text."""
        return OutsideRangeError(text) if self.outside else MicroSolveError(text)


class MicroPool(Protocol):
    """Evaluates the micro models of this rank's quadrature points. Every method is collective.

    Attributes:
        progress: Called after every point of this rank.
        traffic: What all ranks exchanged up to the last commit.
    """

    progress: Progress | None
    traffic: Traffic

    @property
    def model(self) -> MicroModel:
        """The micro model of all points."""

    @property
    def reporting(self) -> MicroModel | None:
        """The micro model that solves on this rank, where it is this rank that tells what it did."""

    @property
    def states(self) -> Array:
        """Committed states of this rank's points, shape (n, state_size), from where they live; collective."""

    def fetch(self, points: npt.NDArray[np.int64]) -> Array:
        """Committed states of some of this rank's points, by their numbers, shape (k, state_size)."""

    def averages(self) -> dict[str, Array]:
        """Volume averages of the history variables of this rank's points, by name, each (n, c)."""

    def evaluate(self, gradients: Array, dt: float, request: Request = EXACT) -> Responses:
        """Answers for this rank's gradients, shape (n, m); trial states are kept until the next call.

        Each micro model finds in its trial state the row of the last evaluation since the last commit
        or rollback.

        Raises:
            PointError: On all ranks, where any point on any rank was not solved. On the rank that
                owns the point the error holds its number, on the others -1.
        """

    def costs(self) -> Array:
        """Seconds that each of this rank's points took in the last load step, shape (n,)."""

    def describe(self) -> str:
        """How the points are spread, for people."""

    def commit(self) -> None:
        """Trial states become the committed ones."""

    def rollback(self) -> None:
        """Trial states are forgotten."""

    def restore(self, states: Array) -> None:
        """Let points go on from stored states: they become the committed ones, and trial states too.

        Args:
            states: Leading parts of the states of this rank's points, shape (n, lasting size of the
                model); the rest, if any, is that of the virgin state.
        """


def solved(model: MicroModel, rows: Rows, point: int, dt: float, request: Request) -> None:
    """Solve a point where it lies in its tables.

    Raises:
        Exception: Whatever the micro model raises; a MicroSolveError where its answer is not finite, an
            InputError where it changes its committed state.
    """
    start = time.perf_counter()
    try:
        trial = rows.begin(point)
        gradient, state = read_only(rows.gradients[point]), read_only(rows.committed[point])
        with unchanged(f"the micro model {type(model).__name__}", "the gradient or its committed state"):
            response = answer(model, gradient, state, dt, trial, request)
        if not response.is_finite:
            raise MicroSolveError("the micro model gave a flux or a tangent that is not finite")
    except BaseException:
        if request.kind == "exact":
            rows.forget(point)
        raise
    rows.put(point, response, time.perf_counter() - start)
