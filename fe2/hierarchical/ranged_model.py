"""A micro model with a range: what is asked outside of it is counted or refused, never passed over."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from fe2.errors import InputError, OutsideRangeError, place
from fe2.hierarchical.hull import ROUND_OFF, Hull
from fe2.micro.model import MicroModel, Request
from fe2.micro.wrapper import Wrapper
from fe2.response import Response

Array = npt.NDArray[np.float64]

type Outside = Literal["count", "raise", "full"]

USED = "range_used"
"""Name of the field that says which part of the range a point uses: above one it has left it."""


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
        super().__init__(model, model.kinematics.size)
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

    def initial_state(self) -> Array:
        """The virgin state of the model, and its gradient."""
        state = super().initial_state()
        state[self.own] = self.kinematics.origin
        return state

    def answer(self, gradient: Array, state: Array, dt: float, out: Array, request: Request) -> Response:
        """The model's answer, or that of the whole cell.

        Raises:
            OutsideRangeError: The gradient is outside of the range, and such are refused.
            MicroSolveError: The model failed.
        """
        if self.adaptive and request.kind in ("anticipate", "polish"):
            return super().answer(gradient, state, dt, out, request)  # of the last evaluation, which is known
        if self._leaves_range(gradient) and self.full is not None:
            virgin = self.full.initial_state()
            response = self.full.solve(gradient, virgin, dt, virgin.copy())
            out[: self.own.start] = gradient
        else:
            response = super().answer(gradient, state, dt, out, request)
        out[self.own] = gradient
        return response

    def _leaves_range(self, gradient: Array) -> bool:
        used = float(self.hull.gauge(gradient))
        self._evaluations += 1
        if used <= 1.0 + ROUND_OFF:
            return False
        self._outside += 1
        self._largest = max(self._largest, used)
        if self.outside == "raise":
            asked = place(gradient * self.kinematics.scale)
            raise OutsideRangeError(
                f"the {self.kinematics.gradient_name} {asked} is at {used:.3g} of the range in which "
                'this model holds; with outside="count" it would be answered and counted'
            )
        return True

    def averages(self, states: Array) -> dict[str, Array]:
        """Averages of the model, and the part of the range that each point uses, shape (n, 1)."""
        return {**super().averages(states), USED: self.hull.gauge(states[:, self.own])[:, None]}

    def behind(self, state: Array) -> tuple[MicroModel, Array]:
        """The whole cell, which has no memory, where points outside of the range ask it, or the model."""
        return super().behind(state) if self.full is None else (self.full, self.full.initial_state())

    def report(self) -> dict[str, float]:
        """Evaluations on this rank, those outside of the range, the use by the farthest, and the models'."""
        return {
            "evaluations of models with a range": self._evaluations,
            "evaluations outside the range": self._outside,
            "largest use of the range": self._largest,
            **super().report(),
        }
