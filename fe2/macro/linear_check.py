"""Whether macroscopic linear systems were solved: a factorization may not notice a singular matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from petsc4py import PETSc

from fe2.arrays import Array
from fe2.errors import MacroSolveError
from fe2.macro.fields import Dofs, Fields

_RESISTANCE = float(np.finfo(np.float64).eps)
"""Forces of a motion, relative to the terms of which they are the sum, that are round-off."""
_LIMIT = 1e-7
"""Resistance to a motion at a limit load, relative to the least that the body had at first."""

_SPACE = (-8, -9, -13, -19)
"""MUMPS's codes of too little workspace or memory."""


class LinearCheck:
    """Looks at every solution of a linear solver, on all ranks; PETSc calls it after each solve."""

    def __init__(
        self, fields: Fields, constrained: Callable[[], Dofs], keep: Callable[[BaseException], None]
    ) -> None:
        """Look at solutions of these fields.

        Args:
            fields: The fields of the unknown.
            constrained: This rank's own degrees of freedom under boundary conditions.
            keep: Called with the error, which PETSc would lose.
        """
        self._fields, self._constrained, self._keep = fields, constrained, keep
        self._least: Array | None = None

    def __call__(self, ksp: PETSc.KSP, right: PETSc.Vec, solution: PETSc.Vec) -> None:
        """Raise a MacroSolveError where the solver gave up, or the matrix is singular; collective."""
        reason, text = ksp.getConvergedReason(), ""
        if ksp.getType() != PETSc.KSP.Type.PREONLY:
            text = (
                f"the macroscopic linear solver gave up (PETSc's KSP reason {reason})" if reason < 0 else ""
            )
            held = (
                self._constrained()
            )  # iterations leave round-off at prescribed values, whose rows are of the identity
            solution.array[held] = right.getArray(readonly=True)[held]
        elif reason < 0 and (code := _mumps_code(ksp)) in _SPACE:
            text = (
                f"the macroscopic matrix was not factorized, MUMPS had too little space (INFOG(1) = {code}): "
                "give it more with the option mat_mumps_icntl_14, in percent, or free memory"
            )
        elif reason < 0 or not self._is_regular(ksp, solution):
            text = (
                "the macroscopic matrix is singular to round-off: a limit load is reached, supports are "
                "missing, parts of the body form a mechanism, or slenderness and contrast leave no digit"
            )
        if text:
            error = MacroSolveError(text)
            error.collective = True
            self._keep(error)
            raise error

    def _is_regular(self, ksp: PETSc.KSP, solution: PETSc.Vec) -> bool:
        """Whether every field resists a solution, and at the first one every motion.

        The solutions of a singular matrix are so large that the forces which they exert are round-off.
        """
        if self._least is None:
            self._least = self._least_resistance(ksp)
        enough = np.maximum(_RESISTANCE, _LIMIT * self._least)
        if np.any(self._least < _RESISTANCE):
            return False
        if len(enough) == 1 and _resists(ksp.getOperators()[0], solution, enough[0]):
            return True
        return bool(np.all(self._resistance(ksp, solution) >= enough))

    def _resistance(self, ksp: PETSc.KSP, motion: PETSc.Vec) -> Array:
        """Forces by each field's motion, relative to their terms, on that field which resists it most."""
        forces, terms = self._fields.actions(ksp.getOperators()[0], motion)
        shares: Array = np.divide(forces, terms, out=np.zeros_like(forces), where=terms != 0.0)
        return np.where(np.any(terms != 0.0, axis=0), shares.max(axis=0), 1.0)

    def _least_resistance(self, ksp: PETSc.KSP) -> Array:
        """The least resistance of each field to any motion, be it one that the load does not excite.

        Two inverse iterations from any forces lead to that motion.
        """
        force, least = ksp.getRhs().duplicate(), np.ones(len(self._fields))
        motion = force.duplicate()
        for field in range(len(self._fields)):
            motion.array[:] = np.random.default_rng(0).standard_normal(len(motion.array))
            for _ in range(2):
                force.array[:] = self._fields.only(motion.array, field)
                force.array[self._constrained()] = 0.0
                force.scale(1.0 / (force.norm() or 1.0))
                ksp.getPC().apply(force, motion)
            least[field] = self._resistance(ksp, motion)[field]
        return least


def _resists(matrix: PETSc.Mat, motion: PETSc.Vec, enough: float) -> bool:
    r"""Whether a bound of the terms, :math:`(\|J\|_1\|J\|_\infty)^{1/2}\|\delta u\|`, shows resistance.

    The terms themselves need a copy of the matrix, which costs a tenth of its factorization.
    """
    image, kinds = matrix.createVecLeft(), PETSc.NormType
    matrix.mult(motion, image)
    largest = np.sqrt(matrix.norm(kinds.NORM_1) * matrix.norm(kinds.NORM_INFINITY))
    force = image.norm()
    image.destroy()
    return bool(force >= enough * largest * motion.norm() > 0.0)


def _mumps_code(ksp: PETSc.KSP) -> int:
    """What MUMPS says of its last factorization, zero where another package made it."""
    preconditioner = ksp.getPC()
    if preconditioner.getFactorSolverType() != PETSc.Mat.SolverType.MUMPS:
        return 0
    return int(preconditioner.getFactorMatrix().getMumpsInfog(1))
