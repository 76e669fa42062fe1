r"""Rates of change at the end of a step: macroscopic storage by backward Euler, or by BDF2.

With the length :math:`\Delta t` of the step, :math:`\Delta t_n` of the one before and their ratio
:math:`\omega = \Delta t/\Delta t_n`,

.. math:: \dot s = \alpha\,(s - s_n) - \beta\,(s_n - s_{n-1}), \qquad
    \alpha = \frac{1 + 2\omega}{(1 + \omega)\,\Delta t},\quad \beta = \frac{\omega^2}{(1 + \omega)\,\Delta t}

is the slope at the end of the parabola through the last three values (Hairer, Nørsett & Wanner, Solving
Ordinary Differential Equations I, 2nd ed. 1993, eq. III.5.9): the second backward differentiation formula,
of second order for steps of any lengths, stable where they grow by less than 1 + √2. Backward Euler has
:math:`\alpha = 1/\Delta t`, :math:`\beta = 0`; so has the first step, and one after a step without length.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from ufl.core.expr import Expr

from fe2.arrays import Array
from fe2.errors import Fe2Warning, InputError

Scheme = Literal["backward_euler", "bdf2"]


def weights(scheme: Scheme, dt: float, dt_before: float) -> tuple[float, float]:
    r""":math:`\alpha` and :math:`\beta`, in one over a unit of time; zero in a step without length."""
    if dt <= 0.0:
        return 0.0, 0.0
    if scheme == "backward_euler" or dt_before <= 0.0:
        return 1.0 / dt, 0.0
    ratio = dt / dt_before
    return (1.0 + 2.0 * ratio) / (1.0 + ratio) / dt, ratio**2 / (1.0 + ratio) / dt


def check_scheme(scheme: str) -> None:
    """Refuse a scheme that there is not.

    Raises:
        InputError: The message names those that there are.
    """
    if scheme not in (known := get_args(Scheme)):
        raise InputError(f"scheme = {scheme!r} is not one of {', '.join(known)}")


_STABLE = 1.0 + math.sqrt(2.0)
"""Growth of steps at which a disturbance of the differences, times β/α in each, begins to grow."""


def warn_of_growth(times: Sequence[float]) -> None:
    """Say which planned steps grow too fast for BDF2, where more than one does in a row.

    Args:
        times: Start and ends of the planned steps.

    Warns:
        Fe2Warning: Some do; the text has the first ones, how much they grow, and the bound.
    """
    lengths = np.diff(times)
    growth = lengths[1:] / lengths[:-1]
    is_fast = growth > _STABLE * (1.0 + 1e-9)
    in_a_row = np.flatnonzero(is_fast[1:] & is_fast[:-1])
    if not len(in_a_row):
        return
    first = int(in_a_row[0])
    last = first + int(np.argmin([*is_fast[first:], False]))
    warnings.warn(
        f"planned steps {first + 1} to {last + 1} grow by up to {growth[first:last].max():.3g} each: "
        f"BDF2 is unstable where steps grow by more than 1 + √2 = {_STABLE:.4g} in a row. Plan steps that "
        'grow less, give a tolerance, or take scheme = "backward_euler"',
        Fe2Warning,
        stacklevel=3,
    )


class Rate:
    r"""Rates :math:`\alpha\,(a(u) - a(u_n)) - \beta\,(a(u_n) - a(u_{n-1}))` of quantities of the unknown.

    .. code-block:: python

        rate = fe2.Rate(p)
        F = storage * rate(p) * q * ufl.dx + ufl.dot(law.flux, fe2.gradient(q)) * law.dx
        problem = fe2.MacroProblem(F, p, law, rate=rate)

    A step without length has no rates: it is steady. After a commit the rates are those of the step which was
    committed.

    Attributes:
        unknown: The unknown u at the end of the step.
        previous: The unknown :math:`u_n` at its beginning: what `unknown` is when a step is begun.
        past: The unknown at the beginning of the last committed step, for the next one.
        past_step: Length of that step, zero where there was none.
    """

    def __init__(self, unknown: fem.Function, mesh: dmesh.Mesh | None = None) -> None:
        """Rates of an unknown, in forms on its mesh or on another one."""
        self.unknown = unknown
        space, mesh = unknown.function_space, unknown.function_space.mesh if mesh is None else mesh
        self.previous, self._earlier, self.past = (
            fem.Function(space, name=f"{time}_{unknown.name}") for time in ("previous", "earlier", "past")
        )
        self.past_step = fem.Constant(mesh, 0.0)
        self._alpha, self._beta = fem.Constant(mesh, 0.0), fem.Constant(mesh, 0.0)
        self._length, self._is_trial = 0.0, False

    def __call__(self, quantity: Expr) -> Expr:
        """Rate of an expression of the unknown, e.g. of the unknown itself or of a density."""
        before, earlier = (ufl.replace(quantity, {self.unknown: u}) for u in (self.previous, self._earlier))
        return self._alpha * (quantity - before) - self._beta * (before - earlier)

    @property
    def weights(self) -> tuple[float, float]:
        r""":math:`\alpha` and :math:`\beta` of the step that was begun or committed last."""
        return float(self._alpha.value), float(self._beta.value)

    def stands_in(self, form: ufl.Form) -> bool:
        """Whether any of these rates stands in a form."""
        return self._alpha in form.constants()

    @contextmanager
    def weighing(self, alpha: float, beta: float) -> Iterator[None]:
        """Inside, rates have these weights."""
        before = self.weights
        self._alpha.value, self._beta.value = alpha, beta
        try:
            yield
        finally:
            self._alpha.value, self._beta.value = before

    def begin(self, dt: float, scheme: Scheme = "backward_euler", start: Array | None = None) -> None:
        """Begin a step of that length; the problem does so in `solve`.

        Args:
            dt: Its length.
            scheme: How rates follow from the values.
            start: Entries of :math:`u_n`, by default those of the unknown as it is.
        """
        self.previous.x.array[:] = self.unknown.x.array if start is None else start
        self._alpha.value, self._beta.value = weights(scheme, dt, float(self.past_step.value))
        # without weight it has to be a value all the same, of which quantities may be taken
        earlier = self.past if self._beta.value else self.previous
        self._earlier.x.array[:] = earlier.x.array
        self._length, self._is_trial = dt, True

    def commit(self) -> None:
        """The step that was begun becomes the past of the next one."""
        if self._is_trial:
            self.past.x.array[:] = self.previous.x.array
            self.past_step.value = self._length
        self._is_trial = False

    def rollback(self) -> None:
        """The step that was begun is forgotten."""
        self._is_trial = False
