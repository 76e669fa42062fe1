r"""The rate of change of the unknown in a user's form, by backward Euler: macroscopic storage."""

from __future__ import annotations

import ufl
from dolfinx import fem
from ufl.core.expr import Expr


class Rate:
    r"""Rates :math:`(a(u) - a(u_n))/\Delta t` of quantities of the unknown, in a macroscopic form.

    .. code-block:: python

        rate = fe2.Rate(p)
        F = storage * rate(p) * q * ufl.dx + ufl.dot(law.flux, fe2.gradient(q)) * law.dx
        problem = fe2.MacroProblem(F, p, law, rate=rate)

    A step without length has no rates: it is steady.

    Attributes:
        unknown: The unknown u at the end of the step.
        previous: The unknown :math:`u_n` at its beginning: what `unknown` is when a step is begun.
    """

    def __init__(self, unknown: fem.Function) -> None:
        """Rates of an unknown."""
        self.unknown = unknown
        self.previous = fem.Function(unknown.function_space, name=f"previous_{unknown.name}")
        self._inverse_step = fem.Constant(unknown.function_space.mesh, 0.0)

    def __call__(self, quantity: Expr) -> Expr:
        """Rate of an expression of the unknown, e.g. of the unknown itself or of a density."""
        return (quantity - ufl.replace(quantity, {self.unknown: self.previous})) * self._inverse_step

    def begin(self, dt: float) -> None:
        """Begin a step of that length; the problem does so in `solve`."""
        self.previous.x.array[:] = self.unknown.x.array
        self._inverse_step.value = 1.0 / dt if dt > 0.0 else 0.0
