"""Whether macroscopic linear systems were solved: a factorization may not notice a singular matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from petsc4py import PETSc

from fe2.errors import MacroSolveError
from fe2.macro.fields import Fields

_RESIDUAL = 1e-4
"""Residual of a factorization, relative to its right-hand side, from which on the matrix is singular."""


class LinearCheck:
    """Looks at every solution of a linear solver, on all ranks; PETSc calls it after each solve."""

    def __init__(
        self,
        fields: Fields,
        constrained: Callable[[], npt.NDArray[np.int32]],
        keep: Callable[[BaseException], None],
    ) -> None:
        """Look at solutions of these fields.

        Args:
            fields: The fields of the unknown.
            constrained: This rank's own degrees of freedom under boundary conditions.
            keep: Called with the error, which PETSc would lose.
        """
        self._fields, self._constrained, self._keep = fields, constrained, keep

    def __call__(self, ksp: PETSc.KSP, right: PETSc.Vec, solution: PETSc.Vec) -> None:
        """Raise a MacroSolveError where the solver gave up, or the matrix is singular; collective."""
        reason, text = ksp.getConvergedReason(), ""
        if ksp.getType() != PETSc.KSP.Type.PREONLY:
            text = (
                f"the macroscopic linear solver gave up (PETSc's KSP reason {reason})" if reason < 0 else ""
            )
        elif reason < 0 or not self._is_solved(ksp.getOperators()[0], right, solution):
            text = (
                "the macroscopic matrix is singular to round-off: a limit load is reached, supports are "
                "missing, or parts of the body form a mechanism"
            )
        if text:
            error = MacroSolveError(text)
            error.collective = True
            self._keep(error)
            raise error

    def _is_solved(self, matrix: PETSc.Mat, right: PETSc.Vec, solution: PETSc.Vec) -> bool:
        """Whether a solution leaves little of the forces on each field, its own or those of the others.

        The solutions of a singular matrix are so large that the round-off of their forces is no less than
        the right-hand side.
        """
        residual = right.duplicate()
        matrix.mult(solution, residual)
        residual.aypx(-1.0, right)
        forces = right.array.copy()
        forces[self._constrained()] = 0.0
        left, loads = self._fields.norms(residual.array), self._fields.norms(forces)
        residual.destroy()
        if np.all(left <= _RESIDUAL * loads):
            return True
        exerted, _ = self._fields.actions(matrix, solution)
        return bool(np.all(left <= _RESIDUAL * np.maximum(loads, exerted)))
