"""A micro model with a range: what is asked outside of it is counted or refused, never passed over."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from fe2.errors import InputError, OutsideRangeError, place
from fe2.hierarchical.hull import ROUND_OFF, Hull
from fe2.micro.model import MicroModel, description
from fe2.physics.kinematics import Kinematics
from fe2.response import Response

Array = npt.NDArray[np.float64]

type Outside = Literal["count", "raise", "full"]

USED = "range_used"
"""Name of the field that says which part of the range a point uses: above one it has left it."""


class RangedModel:
    """A micro model that knows the range of the gradient in which it holds.

    Its averages have the field ``range_used``; the summary of a run says how many evaluations were outside,
    and how far.

    Attributes:
        model: The micro model, whose states begin with the gradient.
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
        self.model, self.hull, self.outside, self.full = model, hull, outside, full
        self._evaluations, self._outside, self._largest = 0, 0, 0.0

    @property
    def kinematics(self) -> Kinematics:
        """Names and sizes of gradient and flux."""
        return self.model.kinematics

    @property
    def state_size(self) -> int:
        """Numbers that one quadrature point remembers."""
        return self.model.state_size

    @property
    def lasting_size(self) -> int:
        """Numbers of the state that a checkpoint has to store."""
        return self.model.lasting_size

    @property
    def description(self) -> dict[str, Any]:
        """That of the model: the range changes no answer."""
        return description(self.model)

    def initial_state(self) -> Array:
        """The virgin state of the model."""
        return self.model.initial_state()

    def solve(self, gradient: Array, state: Array, dt: float, out: Array) -> Response:
        """The model's answer; see `MicroModel.solve` for the arguments.

        Raises:
            OutsideRangeError: The gradient is outside of the range, and such are refused.
            MicroSolveError: The model failed.
        """
        used = float(self.hull.gauge(gradient))
        self._evaluations += 1
        if not used <= 1.0 + ROUND_OFF:
            self._outside += 1
            self._largest = max(self._largest, used)
            if self.outside == "raise":
                asked = place(gradient * self.kinematics.scale)
                raise OutsideRangeError(
                    f"the {self.kinematics.gradient_name} {asked} is at {used:.3g} of the range in which "
                    'this model holds; with outside="count" it would be answered and counted'
                )
            if self.full is not None:
                out[:] = gradient
                virgin = self.full.initial_state()
                return self.full.solve(gradient, virgin, dt, virgin.copy())
        return self.model.solve(gradient, state, dt, out)

    def averages(self, states: Array) -> dict[str, Array]:
        """Averages of the model, and the part of the range that each point uses, shape (n, 1)."""
        used = self.hull.gauge(states[:, : self.kinematics.size])
        return {**self.model.averages(states), USED: used[:, None]}

    def behind(self, state: Array) -> tuple[MicroModel, Array] | None:
        """The whole cell, which has no memory, where points outside of the range ask it."""
        return None if self.full is None else (self.full, self.full.initial_state())

    def report(self) -> dict[str, float]:
        """Evaluations on this rank, those outside of the range, and how far the farthest was."""
        return {
            "evaluations of models with a range": self._evaluations,
            "evaluations outside the range": self._outside,
            "largest use of the range": self._largest,
        }
