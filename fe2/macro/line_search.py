"""The line search of the macroscopic iteration: a full step first, shorter ones only where it leads away.

Plastic structures pass through larger residuals on their way to equilibrium, and every trial evaluates all
micro models: a search that wants every residual to fall takes several times the evaluations of full steps. So
a step is halved only where a micro model fails on it, or where the residual says that it leads away.

petsc4py binds no line search of one's own: two functions of PETSc's C interface are called.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from petsc4py import PETSc

from fe2.macro.snes import petsc_library

TYPE = "shell"
"""PETSc's name for a line search of one's own."""

_TRIALS = 7
"""Trials after which the iteration is given up: a smaller load step is cheaper than ever shorter ones."""
_PYTHON_ERROR = 101

_Apply = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class LineSearch:
    """The line search of one SNES, which has to live as long as that does.

    Attributes:
        failed: Whether the last search found no step.
    """

    def __init__(
        self,
        snes: PETSc.SNES,
        helps: Callable[[PETSc.Vec, PETSc.Vec], bool],
        keep: Callable[[BaseException], None],
    ) -> None:
        """Hand the search to the solver.

        Args:
            snes: The solver, whose line search has the type :data:`TYPE`.
            helps: Evaluates the residual of a trial into its second argument; False where it leads away, or
                could not be evaluated.
            keep: Called with an exception, which PETSc would lose.
        """
        self._snes, self._helps, self._keep = snes, helps, keep
        self.failed = False
        self._callback = _Apply(self._apply)
        self._search = ctypes.c_void_p(snes.getLineSearch().handle)
        petsc_library().SNESLineSearchShellSetApply(self._search, self._callback, None)

    def _apply(self, search: int, context: int | None) -> int:
        try:
            self._take_step()
        except BaseException as error:  # it cannot pass through C
            self._keep(error)
            return _PYTHON_ERROR
        return 0

    def _take_step(self) -> None:
        """Replace the solver's solution and residual by those of a step that helps."""
        solution, direction = self._snes.getSolution(), self._snes.getSolutionUpdate()
        residual = self._snes.getFunction()[0]
        trial, trial_residual = solution.duplicate(), residual.duplicate()
        length, self.failed = 1.0, True
        for _ in range(_TRIALS):
            trial.waxpy(-length, direction, solution)
            if self._helps(trial, trial_residual):
                trial.copy(solution)
                trial_residual.copy(residual)
                self.failed = False
                break
            length *= 0.5
        norms = (solution.norm(), residual.norm(), length * direction.norm())
        petsc_library().SNESLineSearchSetNorms(self._search, *map(ctypes.c_double, norms))
        trial.destroy()
        trial_residual.destroy()
