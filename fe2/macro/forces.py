r"""When the macroscopic iteration has converged: the residual of each field against the forces of that field.

A field f is in equilibrium where

.. math:: \|r_f\| \le \text{rtol}\,\max(\|r_f^0\|, \|R_f\|, \max_{g \ne f} \|J_{fg}\,\delta u_g\|)

with the first residual :math:`r^0` of the step, the reactions R at the constrained degrees of freedom, and
the forces that the changes of the other fields exert; or where an iteration changed it by round-off only.
Where all of these cancel, as in a constraint of incompressibility, a millionth of the terms of which they are
the sum counts, :math:`\|\,|J|\,|\delta u|\,\|_f`. Where an iteration brings nothing more, a residual is
round-off that is one of the terms of the whole unknown, :math:`\|\,|J|\,|u|\,\|_f`, as long after a
consolidation. No two fields are ever added up, so the answer does not depend on the units of any.
"""

from __future__ import annotations

import numpy as np
from petsc4py import PETSc

from fe2.arrays import Array, Mask
from fe2.macro.fields import Dofs, Fields

_ROUND_OFF = 1e-13
"""Change of a field in an iteration that is round-off, relative to the field."""
_GROWTH, _PATIENCE = 10.0, 4
"""Growth of a residual in an iteration that may lead on, and iterations that may bring nothing."""
_FLOOR, _BROUGHT = 1e-14, 0.1
"""Residual that is round-off, relative to the terms of the whole unknown, if it did not fall to this part."""
_CANCELLED = 1e-6
"""Forces on a field, relative to the terms of which they are the sum, that count at least."""


class Forces:
    """Residuals of a step, and what they are measured against, each of shape (fields,).

    Entries of constrained degrees of freedom are apart: those of the residual are what the unknown lacks of
    its prescribed values, those of the internal forces are the reactions.

    Attributes:
        residuals: Norms of every residual that an iteration began with.
    """

    def __init__(self, fields: Fields) -> None:
        """Nothing acted so far."""
        self._fields = fields
        self._largest = np.zeros(len(fields))
        self.begin(np.zeros(0), np.zeros(0, dtype=np.int32))

    def begin(self, solution: Array, constrained: Dofs) -> None:
        """A step begins at this rank's own entries of the unknown, some of which are constrained."""
        self.residuals: list[Array] = []
        self._start = self._before = solution
        self._constrained = constrained
        self._reactions, self._exerted, self._terms, self._lacking, self._lacks = np.zeros(
            (5, len(self._fields))
        )
        self._is_round_off = np.zeros(len(self._fields), dtype=np.bool_)
        self._is_lost, self._arrived = False, 0
        self._matrix: PETSc.Mat | None = None

    def measure(self, internal: Array) -> None:
        """Take note of the reactions among the internal forces; collective."""
        self._reactions = self._fields.norms(self._prescribed(internal))
        self._largest = np.maximum(self._largest, self._reactions)

    def append(self, residual: Array, solution: PETSc.Vec, matrix: PETSc.Mat | None) -> None:
        """An iteration begins, or the last one has ended; collective.

        Args:
            residual: This rank's own entries.
            solution: The unknown.
            matrix: The Jacobian of the iteration that has ended, or None where none has.
        """
        values = solution.array
        self._matrix, self._solution = matrix, solution
        if matrix is not None:
            changes = self._fields.norms(values - self._before)
            self._is_round_off = changes <= _ROUND_OFF * self._fields.norms(values)
            self._exerted, self._terms = self._actions(matrix, solution)
        self._lacks, norms = self._parts(residual)
        if not self.residuals:
            self._lacking = self._lacks
        self._before = values.copy()
        self._size = self._fields.norms(values)
        if np.any(self._lacks > _ROUND_OFF * self._size):
            self._arrived = len(self.residuals) + 1
        self.residuals.append(norms)

    def balances(self, residual: Array, rtol: float, atol: float) -> bool:
        """Whether a residual is small enough in every field; collective."""
        return bool(np.all(self._is_small(*self._parts(residual), rtol, atol)))

    def is_balanced(self, rtol: float, atol: float) -> bool:
        """Whether the last residual that was appended is small enough in every field."""
        return bool(np.all(self._is_small(self._lacks, self.residuals[-1], rtol, atol)))

    def is_settled(self, rtol: float, atol: float) -> bool:
        """Whether every field is balanced, was changed by round-off, or has only that left; collective."""
        last = self.residuals[-1]
        settled = self._is_small(self._lacks, last, rtol, atol) | self._is_round_off
        if np.all(settled) or self._matrix is None or len(self.residuals) < 2:
            return bool(np.all(settled))
        if not np.all(settled | (last > _BROUGHT * self.residuals[-2])):
            return False
        _, terms = self._fields.actions(self._matrix, self._solution)
        floor = np.maximum(atol, _FLOOR * terms.sum(axis=1))
        return bool(np.all(settled | self._is_small(self._lacks, last, rtol, floor)))

    def helps(self, residual: Array, trial: PETSc.Vec, matrix: PETSc.Mat) -> bool:
        """Whether a trial with this residual does not lead away from equilibrium; collective.

        In its worst field the residual may grow tenfold, and to a size that is small beside the forces, or
        beside its terms where there are no forces. Once some iterations have brought nothing, it has to fall;
        they bring something as long as the unknown comes nearer to its prescribed values.
        """
        exerted, terms = self._actions(matrix, trial)
        forces = np.maximum(self._scales(), exerted)
        scales = np.where(forces > _CANCELLED * terms, forces, terms)
        after = worst(self._parts(residual)[1], scales)
        before = [worst(norms, scales) for norms in self.residuals]
        earlier, last = before[self._arrived : -_PATIENCE], before[-_PATIENCE:]
        self._is_lost = self._is_lost or (bool(earlier) and min(last) >= min(earlier))
        return after < before[-1] if self._is_lost else after <= _GROWTH * max(before[-1], 0.1)

    def error(self) -> float:
        """The last residual relative to the largest forces so far, in the worst field; one at first.

        Where nothing acts any more, noise is all that is left of the forces of a step.
        """
        return worst(self.residuals[-1], np.maximum(self._largest, self._scales())) if self.residuals else 1.0

    def size(self) -> float:
        """Norm of the last residual; of several fields, relative to the forces of the worst."""
        last = self.residuals[-1]
        return float(last[0]) if len(last) == 1 else worst(last, self._scales())

    def described(self) -> str:
        """The last residuals, of each field where there are several."""
        last = self.residuals[-6:]
        parts = [", ".join(f"{norms[k]:.2e}" for norms in last) for k in range(len(self._fields))]
        if len(parts) == 1:
            return parts[0]
        return "; ".join(f"{name}: {part}" for name, part in zip(self._fields.names, parts, strict=True))

    def _scales(self) -> Array:
        """What the residuals are measured against."""
        acting = np.maximum(np.maximum(self.residuals[0], self._reactions), self._exerted)
        return np.maximum(acting, _CANCELLED * self._terms)

    def _is_small(self, lacking: Array, norms: Array, rtol: float, atol: float | Array) -> Mask:
        prescribed = lacking <= np.maximum(rtol * self._lacking, _ROUND_OFF * self._size)
        return prescribed & (norms <= np.maximum(atol, rtol * self._scales()))

    def _parts(self, residual: Array) -> tuple[Array, Array]:
        """Norms of what a residual lacks of prescribed values, and of its forces; collective."""
        prescribed = self._prescribed(residual)
        return self._fields.norms(prescribed), self._fields.norms(residual - prescribed)

    def _prescribed(self, values: Array) -> Array:
        """The entries of constrained degrees of freedom, with zeros elsewhere."""
        found = np.zeros_like(values)
        found[self._constrained] = values[self._constrained]
        return found

    def _actions(self, matrix: PETSc.Mat, solution: PETSc.Vec) -> tuple[Array, Array]:
        """What the change since the start exerts on other fields; zeros where there are none."""
        if len(self._fields) == 1:
            return np.zeros(1), np.zeros(1)
        change = solution.duplicate()
        change.array[:] = solution.array - self._start
        change.array[self._constrained] = 0.0  # their rows and columns are those of the identity
        forces, terms = self._fields.actions(matrix, change)
        change.destroy()
        np.fill_diagonal(forces, 0.0)
        return forces.max(axis=1), terms.sum(axis=1)


def worst(residuals: Array, scales: Array) -> float:
    """The largest ratio of residuals to their scales."""
    return float(np.max(residuals / np.maximum(scales, np.finfo(np.float64).tiny)))
