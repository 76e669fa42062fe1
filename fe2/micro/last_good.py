r"""A fallback that the user may choose: where a cell fails, it answers as it last did, linearized.

.. math:: s = s_0 + A_0 (g - g_0)

with flux, tangent and gradient of the last accepted step. Its state stays as it was. Such an answer is not a
solution of the cell problem: each one is counted, and the summary of the run tells their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array, Mask
from fe2.micro.model import MicroModel
from fe2.micro.points import Points, Step
from fe2.micro.state import StateField
from fe2.micro.wrapper import Wrapper, evaluate_some
from fe2.response import SOLVED, Answers

_NONE, _GOOD, _KEPT = range(3)


class KeepsLastGood(Wrapper):
    """A micro model with a fallback. Its state has gradient, flux and tangent of the last good answer.

    Only where the model says that a point failed does it answer: every error that is raised is a mistake in
    the program.

    Attributes:
        kept: Answers so far that are not the model's own.
    """

    def __init__(self, model: MicroModel) -> None:
        """Ask this model, and keep its answers."""
        m = model.kinematics.size
        shapes = {"gradient": (m,), "flux": (m,), "tangent": (m, m)}
        own = [StateField(f"good {name}", shape) for name, shape in shapes.items()]
        super().__init__(model, [StateField("good answer", dtype="int64"), *own])
        self.kept = 0

    def around(self, *models: MicroModel) -> KeepsLastGood:
        """The same fallback for another model."""
        return KeepsLastGood(models[0])

    @property
    def description(self) -> dict[str, Any]:
        """The model's, and that there is a fallback."""
        return {"on_failure": "keep last good response", **super().description}

    def evaluate(
        self, gradients: Array, committed: Array, trial: Array, points: Points, step: Step, answers: Answers
    ) -> None:
        """The model's answers, or where it fails the linearization of its last good one."""
        asked = np.ones(len(gradients), dtype=bool)
        if step.wanted in ("anticipate", "polish"):
            # this is about the last evaluation, which may not be the model's own
            asked = self._own(trial, "answer") != _KEPT
            kept = np.flatnonzero(~asked)
            answers.flux[kept], answers.tangent[kept] = (
                self._own(trial, name)[kept] for name in ("flux", "tangent")
            )
            if step.wanted == "polish":
                trial[kept] = committed[kept]
        states = self.inner(committed), self.inner(trial)
        evaluate_some(self.model, asked, gradients, *states, points, step, answers)
        answers.check()
        good = asked & (answers.status == SOLVED)
        if step.wanted != "anticipate":
            self._remember(trial, good, _GOOD, gradients, answers)
        failed = asked & ~good & (self._own(committed, "answer") != _NONE)
        if failed.any():
            self._continue(failed, gradients, committed, trial, step, answers)

    def report(self) -> dict[str, float]:
        """Answers that are not the model's own, and what the model reports."""
        return {"answers kept where cells failed": float(self.kept), **super().report()}

    def _continue(
        self, failed: Mask, gradients: Array, committed: Array, trial: Array, step: Step, answers: Answers
    ) -> None:
        """The linearization of the committed answers; states stay as they were."""
        rows = np.flatnonzero(failed)
        old, flux, tangent = (self._own(committed, name)[rows] for name in ("gradient", "flux", "tangent"))
        found = Answers.empty(len(rows), gradients.shape[1])
        found.flux[:] = flux + np.einsum("nij,nj->ni", tangent, gradients[rows] - old)
        found.tangent[:] = tangent
        answers.take(rows, found)
        self.kept += len(rows)
        trial[rows] = committed[rows]
        if step.wanted == "approach":  # until the step is polished
            self._remember(trial, failed, _KEPT, gradients, answers)

    def _remember(self, states: Array, chosen: Mask, kind: int, gradients: Array, answers: Answers) -> None:
        rows = slice(None) if chosen.all() else np.flatnonzero(chosen)
        self._own(states, "answer")[rows] = kind
        self._own(states, "gradient")[rows] = gradients[rows]
        self._own(states, "flux")[rows], self._own(states, "tangent")[rows] = (
            answers.flux[rows],
            answers.tangent[rows],
        )

    def _own(self, states: Array, name: str) -> npt.NDArray[Any]:
        return self.state.of(states, f"good {name}")
