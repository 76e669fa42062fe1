r"""A fallback that the user may choose: where a cell fails, it answers as it last did, linearized.

.. math:: s = s_0 + A_0 (g - g_0)

with flux, tangent and gradient of the last accepted step. Its state stays as it was. Such an answer is not a
solution of the cell problem: each one is counted, and the summary of the run tells their number.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.errors import MicroSolveError
from fe2.micro.model import MicroModel, ReportingModel, description
from fe2.physics.kinematics import Kinematics
from fe2.response import Response

Array = npt.NDArray[np.float64]


class KeepsLastGood:
    """A micro model with a fallback. Gradient, flux and tangent of the last good answer are in its state.

    .. code-block:: text

        lasting part of the model | good: 0 or 1 | gradient | flux | tangent ‖ tail of the model

    Attributes:
        model: The micro model that is asked first.
        kept: Answers so far that are not the model's own.
    """

    def __init__(self, model: MicroModel) -> None:
        """Ask this model, and keep its answers."""
        self.model, self.kept = model, 0
        m, start = model.kinematics.size, model.lasting_size
        self._extra = 1 + m + m + m * m
        self._memory = slice(start, start + self._extra)

    @property
    def kinematics(self) -> Kinematics:
        """Names and sizes of gradient and flux."""
        return self.model.kinematics

    @property
    def state_size(self) -> int:
        """Numbers that one quadrature point remembers."""
        return self.model.state_size + self._extra

    @property
    def lasting_size(self) -> int:
        """Numbers that a checkpoint stores."""
        return self.model.lasting_size + self._extra

    @property
    def description(self) -> dict[str, Any]:
        """What the model is, and that it has this fallback."""
        return {"on_failure": "keep last good response", **description(self.model)}

    def initial_state(self) -> Array:
        """The model's, with no answer yet."""
        virgin = self.model.initial_state()
        return np.insert(virgin, self.model.lasting_size, np.zeros(self._extra))

    def solve(self, gradient: Array, state: Array, dt: float, out: Array) -> Response:
        """The model's answer, or where it fails the linearization of its last good one.

        Args:
            gradient: Macroscopic gradient at the end of the step, shape (m,).
            state: Committed state, shape (state_size,); not modified.
            dt: Length of the time step.
            out: Receives the trial state, shape (state_size,).

        Raises:
            MicroSolveError: The model failed before it gave any good answer.
        """
        start, row = time.perf_counter(), self._row(out)
        try:
            response = self.model.solve(gradient, self._row(state), dt, row)
            if not response.is_finite:
                raise MicroSolveError("the micro model gave a flux or a tangent that is not finite")
        except Exception:  # whatever it was, the fallback is wanted
            good, *_ = state[self._memory]
            if not good:
                raise
            self.kept += 1
            out[:] = state
            return self._last(gradient, state, start)
        lasting = self.model.lasting_size
        out[:lasting], out[self._memory.stop :] = row[:lasting], row[lasting:]
        out[self._memory] = np.concatenate(
            [[1.0], gradient, response.flux, np.asarray(response.tangent).reshape(-1)]
        )
        return response

    def averages(self, states: Array) -> dict[str, Array]:
        """Volume averages of the history variables."""
        return self.model.averages(np.delete(states, self._memory, axis=1))

    def report(self) -> dict[str, float]:
        """Answers that are not the model's own, and what the model reports."""
        own = self.model.report() if isinstance(self.model, ReportingModel) else {}
        return {"answers kept where cells failed": float(self.kept), **own}

    def behind(self, state: Array) -> tuple[MicroModel, Array]:
        """The model that is asked first, and its part of a state."""
        return self.model, self._row(state)

    def _row(self, state: Array) -> Array:
        return np.delete(state, self._memory)

    def _last(self, gradient: Array, state: Array, start: float) -> Response:
        m = self.kinematics.size
        _, old, flux, tangent = np.split(state[self._memory], [1, 1 + m, 1 + 2 * m])
        tangent = tangent.reshape(m, m)
        answer = flux + tangent @ (gradient - old)
        return Response(answer, tangent, 0, time.perf_counter() - start)
