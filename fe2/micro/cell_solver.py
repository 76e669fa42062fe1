"""How a cell comes to equilibrium: the interface of cell solvers, and those that fe2 takes by itself.

A form or a user may bring another one: `staggered.py`, `bounded.py`, or one of their own. Whatever the way to
equilibrium is, flux and tangent are those of the page in `homogenize.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.micro.form import CellForm
from fe2.micro.newton import Equilibrium, WholeCellNewton


class CellSolver(ABC):
    """The way of a cell to equilibrium.

    .. code-block:: python

        class Undamped(fe2.CellSolver):
            def equilibrate(self, newton, gradient, fluctuation):
                point = newton.start(gradient, fluctuation)
                while point.error > newton.options.tolerance:
                    newton.linearize()
                    point = newton.start(
                        gradient, point.fluctuation - newton.linear_solver.solve(point.residual)
                    )
                return point

        rve = fe2.RVE(cell, form, options=fe2.NewtonOptions(strategy=Undamped()))

    Attributes:
        holds_bounds: Whether it respects the bounds of a form.
        keeps_linearization: Whether states end with the last linearization, from which `adaptive.py` starts.
    """

    holds_bounds: bool = False
    keeps_linearization: bool = False

    @property
    def name(self) -> str:
        """What it is called in the summary of a run."""
        return type(self).__name__.lower()

    def check(self, form: CellForm) -> None:
        """Refuse a form that cannot be solved so, before any work.

        Raises:
            InputError: It is none for this solver.
        """
        if form.bounds and not self.holds_bounds:
            raise InputError(
                f"the form of the cell has bounds, which the strategy {self.name} does not hold; Bounded and "
                "Staggered do"
            )

    @abstractmethod
    def equilibrate(self, newton: WholeCellNewton, gradient: Array, fluctuation: Array) -> Equilibrium:
        """Find the equilibrium; the committed state is loaded.

        What is held when it returns, see :meth:`WholeCellNewton.hold`, is held in the tangent.

        Args:
            newton: The cell: :meth:`start` evaluates its residual, :meth:`linearize` and :meth:`step` are an
                iteration, `options` says when it counts as solved.
            gradient: Macroscopic gradient at the end of the step, shape (m,).
            fluctuation: First guess of the free fluctuations, shape (n,).

        Raises:
            MicroSolveError: No equilibrium was found.
        """


class Newton(CellSolver):
    """Newton's method with a line search, from the committed state to the full tolerance."""

    def equilibrate(self, newton: WholeCellNewton, gradient: Array, fluctuation: Array) -> Equilibrium:
        """As :meth:`CellNewton.equilibrate`."""
        return newton.equilibrate(gradient, fluctuation)


class Adaptive(Newton):
    """No more work than the macroscopic iteration needs, see `adaptive.py`; Newton's where that fails."""

    keeps_linearization = True
