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
from fe2.micro.model import MicroModel, Request
from fe2.micro.wrapper import Wrapper
from fe2.parallel import together
from fe2.response import Response

Array = npt.NDArray[np.float64]

_NONE, _GOOD, _KEPT = 0.0, 1.0, 2.0


class KeepsLastGood(Wrapper):
    """A micro model with a fallback. Gradient, flux and tangent of the last good answer are in its state.

    .. code-block:: text

        lasting part of the model | whether there is an answer | gradient | flux | tangent ‖ tail of the model

    Only a :class:`~fe2.errors.MicroSolveError` calls for the fallback: every other error is a mistake in the
    program, and is raised.

    Attributes:
        kept: Answers so far that are not the model's own.
    """

    def __init__(self, model: MicroModel) -> None:
        """Ask this model, and keep its answers."""
        m = model.kinematics.size
        super().__init__(model, 1 + m + m + m * m)
        self._memory, self.kept = self.own, 0

    def around(self, *models: MicroModel) -> KeepsLastGood:
        """The same fallback for another model."""
        return KeepsLastGood(models[0])

    @property
    def description(self) -> dict[str, Any]:
        """The model's, and that there is a fallback."""
        return {"on_failure": "keep last good response", **super().description}

    def answer(self, gradient: Array, state: Array, dt: float, out: Array, request: Request) -> Response:
        """The model's answer, or where it fails the linearization of its last good one.

        Raises:
            MicroSolveError: The model failed before it gave any good answer.
        """
        start, kept = time.perf_counter(), out[self._memory]
        if request.kind in ("anticipate", "polish") and kept[0] == _KEPT:
            # this is about the last evaluation, which is not the model's own
            _, flux, tangent = self._parts(kept)
            if request.kind == "polish":
                out[:] = state
            return Response(flux, tangent, 0, time.perf_counter() - start)
        try:
            with together(self.ranks):
                response = super().answer(gradient, state, dt, out, request)
                if not response.is_finite:
                    raise MicroSolveError("the micro model gave a flux or a tangent that is not finite")
        except MicroSolveError:
            if state[self._memory.start] == _NONE:
                raise
            return self._last(gradient, state, out, request, start)
        if request.kind != "anticipate":
            self._remember(out, _GOOD, gradient, response.flux, response.tangent)
        return response

    def report(self) -> dict[str, float]:
        """Answers that are not the model's own, and what the model reports."""
        return {"answers kept where cells failed": float(self.kept), **super().report()}

    def _last(self, gradient: Array, state: Array, out: Array, request: Request, start: float) -> Response:
        """The linearization of the committed answer; the state stays as it was."""
        old, flux, tangent = self._parts(state[self._memory])
        answer = flux + tangent @ (gradient - old)
        self.kept += 1
        out[:] = state
        if request.kind == "approach":  # until the step is polished
            self._remember(out, _KEPT, gradient, answer, tangent)
        return Response(answer, tangent, 0, time.perf_counter() - start)

    def _remember(self, out: Array, kind: float, gradient: Array, flux: Array, tangent: Array) -> None:
        out[self._memory] = np.concatenate([[kind], gradient, flux, np.asarray(tangent).reshape(-1)])

    def _parts(self, memory: Array) -> tuple[Array, Array, Array]:
        """Gradient, flux and tangent, copies."""
        m = self.kinematics.size
        _, gradient, flux, tangent = np.split(memory.copy(), [1, 1 + m, 1 + 2 * m])
        return gradient, flux, tangent.reshape(m, m)
