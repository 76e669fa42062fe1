"""The pool of one process: its points are solved one after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fe2.dispatch.pool import PointError, Progress
from fe2.errors import MicroSolveError
from fe2.micro.model import EXACT, MicroModel, Request, answer
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
        self._committed = np.tile(model.initial_state(), (points, 1))
        self._trial = self._committed.copy()
        self.progress: Progress | None = None

    @property
    def model(self) -> MicroModel:
        """The micro model of all points."""
        return self._model

    @property
    def states(self) -> Array:
        """Committed states, shape (n, state_size); not to be modified."""
        return self._committed

    def evaluate(self, gradients: Array, dt: float, request: Request = EXACT) -> Responses:
        """Answers for gradients of shape (n, m); trial states are kept until the next call.

        Raises:
            PointError: A point was not solved; the points after it were not tried.
        """
        responses = Responses.empty(len(self._committed), self._model.kinematics.size)
        for point, gradient in enumerate(gradients):
            try:
                response = answer(
                    self._model, gradient, self._committed[point], dt, self._trial[point], request
                )
                if not (np.all(np.isfinite(response.flux)) and np.all(np.isfinite(response.tangent))):
                    raise MicroSolveError("the micro model gave a flux or a tangent that is not finite")
            except Exception as error:  # a micro model may fail in any way; the point is named
                raise PointError(describe(error), point) from error
            responses.put(point, response)
            if self.progress is not None:
                self.progress(point + 1, len(gradients))
        return responses

    def commit(self) -> None:
        """Trial states become the committed ones."""
        self._committed[:] = self._trial

    def rollback(self) -> None:
        """Trial states are forgotten."""
        self._trial[:] = self._committed
