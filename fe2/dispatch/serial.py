"""The pool of one process: its points are solved one after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fe2.dispatch.pool import PointError, Progress, solved
from fe2.dispatch.rows import Rows, Shape, responses_of
from fe2.dispatch.traffic import Traffic
from fe2.errors import OutsideRangeError
from fe2.micro.model import EXACT, MicroModel, Request
from fe2.parallel import describe
from fe2.response import Responses

Array = npt.NDArray[np.float64]


class SerialPool:
    """Evaluates the points of this process with one micro model and an array of states."""

    def __init__(self, model: MicroModel, points: int) -> None:
        """All points start in the virgin state.

        Args:
            model: The micro model of all points.
            points: Number of points.
        """
        self._model = model
        self._rows = Rows.private(Shape(points, model.state_size, model.kinematics.size))
        self._rows.committed[:] = model.initial_state()
        self.progress: Progress | None = None
        self.traffic = Traffic()
        self._costs, self._spent = np.zeros(points), np.zeros(points)

    @property
    def model(self) -> MicroModel:
        """The micro model of all points."""
        return self._model

    @property
    def reporting(self) -> MicroModel:
        """The same one."""
        return self._model

    @property
    def states(self) -> Array:
        """Committed states, shape (n, state_size); not to be modified."""
        return self._rows.committed

    def evaluate(self, gradients: Array, dt: float, request: Request = EXACT) -> Responses:
        """Answers for gradients of shape (n, m); trial states are kept until the next call.

        Raises:
            PointError: A point was not solved; the points after it were not tried.
        """
        self._rows.gradients[:] = gradients
        for point in range(len(gradients)):
            try:
                solved(self._model, self._rows, point, dt, request)
            except Exception as error:  # a micro model may fail in any way; the point is named
                outside = isinstance(error, OutsideRangeError)
                raise PointError(describe(error), point, outside=outside) from error
            if self.progress is not None:
                self.progress(point + 1, len(gradients))
        self._spent += self._rows.answers[:, -1]
        return responses_of(self._rows.answers, self._model.kinematics.size)

    def commit(self) -> None:
        """Trial states become the committed ones."""
        self._rows.complete()
        self._rows.exchange()
        self._costs, self._spent = self._spent, np.zeros(len(self._spent))

    def costs(self) -> Array:
        """Seconds that each point took in the last load step, shape (n,)."""
        return self._costs

    def describe(self) -> str:
        """How the points are spread, for people."""
        return f"{len(self._costs)} points on one process"

    def rollback(self) -> None:
        """Trial states are forgotten."""
        self._rows.rollback()

    def fetch(self, points: npt.NDArray[np.int64]) -> Array:
        """Committed states of some points, shape (k, state_size)."""
        return self._rows.committed[points]

    def averages(self) -> dict[str, Array]:
        """Volume averages of the history variables, by name, each (n, c)."""
        return self._model.averages(self._rows.committed)

    def restore(self, states: Array) -> None:
        """Let points go on from stored states, shape (n, lasting size of the model)."""
        self._rows.committed[:] = self._model.initial_state()
        self._rows.committed[:, : states.shape[1]] = states
        self._rows.rollback()
