"""A micro model with a range: what is asked outside of it is counted or refused, never passed over."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError, OutsideRangeError, place
from fe2.hierarchical.hull import ROUND_OFF, Hull
from fe2.micro.model import MicroModel
from fe2.micro.points import Point, Points, Step
from fe2.micro.state import StateField
from fe2.micro.wrapper import Wrapper, evaluate_some
from fe2.response import SOLVED, Answers

type Outside = Literal["count", "raise", "full"]

USED = "range_used"
"""Name of the field that says which part of the range a point uses: above one it has left it."""

_LAST = "gradient asked last"


class RangedModel(Wrapper):
    """A micro model that knows the range of the gradient in which it holds.

    Its averages have the field ``range_used``; the summary of a run says how many evaluations were outside,
    and how far. Behind the state of the model stands the gradient of the last evaluation.

    Attributes:
        hull: The range.
        outside: "count" answers outside of the range too, and counts; "raise" refuses; "full" asks the
            whole cell.
        full: The whole cell, which has no memory, for "full".
    """

    def __init__(
        self, model: MicroModel, hull: Hull, *, outside: Outside = "count", full: MicroModel | None = None
    ) -> None:
        """Join a model and its range.

        Raises:
            InputError: `outside` is none of the above, or "full" is asked for and there is no whole cell, or
                the model remembers more than its gradient.
        """
        if outside not in get_args(Outside.__value__):
            raise InputError(f'outside = {outside!r}: it must be "count", "raise" or "full"')
        if outside == "full" and (full is None or model.state_size != model.kinematics.size):
            raise InputError(
                'outside = "full" needs the whole cell, full=rve, and a model whose state is its gradient'
            )
        kinematics = model.kinematics
        super().__init__(model, [StateField(_LAST, (kinematics.size,), initial=kinematics.origin)])
        self.hull, self.outside, self.full = hull, outside, full
        self._evaluations, self._outside, self._largest = 0, 0, 0.0

    def around(self, *models: MicroModel) -> RangedModel:
        """The same range of other models."""
        model, full = (*models, None)[:2]
        assert model is not None
        return RangedModel(model, self.hull, outside=self.outside, full=full)

    @property
    def wrapped(self) -> tuple[MicroModel, ...]:
        """The model, and the whole cell where points may ask it."""
        return (self.model,) if self.full is None else (self.model, self.full)

    def evaluate(
        self, gradients: Array, committed: Array, trial: Array, points: Points, step: Step, answers: Answers
    ) -> None:
        """The model's answers, or those of the whole cell; where such gradients are refused, none."""
        if self.adaptive and step.wanted in (
            "anticipate",
            "polish",
        ):  # of the last evaluation, which is known
            super().evaluate(gradients, committed, trial, points, step, answers)
            return
        used = np.atleast_1d(self.hull.gauge(gradients))
        outside = used > 1.0 + ROUND_OFF
        self._evaluations += len(used)
        self._outside += int(np.count_nonzero(outside))
        self._largest = max(self._largest, float(used[outside].max(initial=0.0)))
        states = self.inner(committed), self.inner(trial)
        if self.outside == "raise":
            self._refuse(np.flatnonzero(outside), used, gradients, answers)
        if self.full is not None:
            virgin = np.tile(self.full.initial_state(), (len(used), 1))
            evaluate_some(
                self.full,
                outside,
                gradients,
                virgin,
                virgin.copy(),
                points,
                Step(step.dt, step.time),
                answers,
            )
            self.inner(trial)[outside] = gradients[outside]
        asked = ~outside if self.outside != "count" else np.ones(len(used), dtype=bool)
        evaluate_some(self.model, asked, gradients, *states, points, step, answers)
        solved = answers.status == SOLVED
        self.state.of(trial, _LAST)[solved] = gradients[solved]

    def _refuse(self, points: Ints, used: Array, gradients: Array, answers: Answers) -> None:
        for point in points.tolist():
            asked = place(gradients[point] * self.kinematics.scale)
            error = OutsideRangeError(
                f"the {self.kinematics.gradient_name} {asked} is at {used[point]:.3g} of the range in which "
                'this model holds; with outside="count" it would be answered and counted'
            )
            answers.fail(point, error)

    def averages(self, states: Array) -> dict[str, Array]:
        """Averages of the model, and the part of the range that each point uses, shape (n, 1)."""
        return {**super().averages(states), USED: self.hull.gauge(self.state.of(states, _LAST))[:, None]}

    def behind(self, state: Array, gradient: Array, point: Point) -> tuple[MicroModel, Array, Array] | None:
        """The whole cell, which has no memory, where points outside of the range ask it, or the model."""
        if self.full is None:
            return super().behind(state, gradient, point)
        return self.full, self.full.initial_state(), gradient

    def report(self) -> dict[str, float]:
        """Evaluations on this rank, those outside of the range, the use by the farthest, and the models'."""
        return {
            "evaluations of models with a range": self._evaluations,
            "evaluations outside the range": self._outside,
            "largest use of the range": self._largest,
            **super().report(),
        }
