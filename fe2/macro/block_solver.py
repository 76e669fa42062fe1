r"""An iterative solver for large macroscopic problems: Krylov iterations with multigrid on each field.

Two fields are eliminated one after the other,

.. math:: \begin{pmatrix} A & B \\ C & D \end{pmatrix} \approx
    \begin{pmatrix} \tilde A & 0 \\ C & \tilde S \end{pmatrix}, \qquad S = D - C\,\mathrm{diag}(A)^{-1} B,

with a cycle of algebraic multigrid for A and for S, which stands also where D vanishes, as in a saddle point;
more fields are taken in turn, each by a cycle of its own (Elman, Silvester & Wathen, Finite Elements and Fast
Iterative Solvers, 2nd ed. 2014, ch. 9). Multigrid of displacements keeps rigid motions on its coarse levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from petsc4py import PETSc

from fe2.errors import InputError
from fe2.macro.fields import Fields

Preconditioner = Literal["direct", "blocks"]

_CANCELLED = 1e-6
"""Forces on a field, relative to the terms of which they are the sum, that count at least."""

_KRYLOV: dict[str, Any] = {
    "ksp_type": "fgmres",
    "ksp_rtol": 1e-9,
    "ksp_max_it": 500,
    "ksp_gmres_restart": 100,
}
_SCHUR: dict[str, Any] = {
    "pc_fieldsplit_type": "schur",
    "pc_fieldsplit_schur_fact_type": "lower",
    "pc_fieldsplit_schur_precondition": "selfp",
}


def solver_options(preconditioner: str, names: Sequence[str]) -> dict[str, Any]:
    """PETSc's options of a macroscopic solver for these fields.

    Raises:
        InputError: There is no such preconditioner.
    """
    if preconditioner not in (known := get_args(Preconditioner)):
        raise InputError(f"preconditioner = {preconditioner!r} is not one of {', '.join(known)}")
    if preconditioner == "direct":
        return {}
    if len(names) == 1:
        return {**_KRYLOV, "pc_type": "gamg"}
    kinds = _SCHUR if len(names) == 2 else {"pc_fieldsplit_type": "multiplicative"}
    cycles = {
        f"fieldsplit_{name}_{option}": value
        for name in names
        for option, value in (("ksp_type", "preonly"), ("pc_type", "gamg"))
    }
    return {**_KRYLOV, "pc_type": "fieldsplit", **kinds, **cycles}


class FieldwiseTest:
    """Ends Krylov iterations where the residual of every field is small beside the forces on that field.

    PETSc's own test adds up what has different units. Forces are the right-hand side and what other fields
    exert.
    """

    def __init__(self, fields: Fields) -> None:
        """Test residuals of these fields."""
        self._fields, self._first = fields, 0.0

    def __call__(self, ksp: PETSc.KSP, iteration: int, norm: float) -> int:
        """PETSc's reason to end, or zero; collective."""
        rtol, _, _, most = ksp.getTolerances()
        if iteration == 0:
            self._first = norm
        if not np.isfinite(norm):
            return int(PETSc.KSP.ConvergedReason.DIVERGED_NANORINF)
        if norm <= rtol * self._first and self._is_solved(ksp, rtol):
            return int(PETSc.KSP.ConvergedReason.CONVERGED_RTOL)
        return int(PETSc.KSP.ConvergedReason.DIVERGED_MAX_IT) if iteration >= most else 0

    def _is_solved(self, ksp: PETSc.KSP, rtol: float) -> bool:
        matrix, right = ksp.getOperators()[0], ksp.getRhs().copy()
        solution, residual = right.duplicate(), right.duplicate()
        ksp.buildSolution(solution)
        matrix.mult(solution, residual)
        residual.aypx(-1.0, right)
        exerted, terms = self._fields.actions(matrix, solution)
        np.fill_diagonal(exerted, 0.0)
        acting = np.maximum(self._fields.norms(right.array), exerted.max(axis=1))
        scales = np.maximum(acting, _CANCELLED * terms.sum(axis=1))
        small = bool(np.all(self._fields.norms(residual.array) <= rtol * scales))
        for temporary in (right, solution, residual):
            temporary.destroy()
        return small
