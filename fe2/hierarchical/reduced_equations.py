r"""The equations of a reduced cell: few modes, few mesh cells, the same phase laws.

The micro field is :math:`u = X g + T \Phi q` with r modes Φ, and integrals are sums over the mesh cells of an
empirical cubature. With :math:`T\Phi` at the nodes of these mesh cells in the place of T, and their assembled
residual and stiffness, weighted, it is the page of :mod:`fe2.micro.homogenize`, and Newton's iteration that
of any cell.

Residual and flux are derivatives of one and the same weighted integral, so the tangent is consistent, and
symmetric where the phases' tangents are (Hernández, Caicedo & Ferrer 2017; Farhat, Chapman & Avery,
Int. J. Numer. Meth. Engng 102 (2015), on why positive weights keep stability).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from fe2.arrays import Array
from fe2.errors import MicroSolveError
from fe2.micro.boundary import BoundaryMap
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.newton import CellNewton, NewtonOptions
from fe2.micro.problem import CellProblem
from fe2.micro.residual_norms import GroupNorms, Numbers, vector_length

_NOTHING = 1e-100
"""Forces that are none in any units: round-off of a field that has gone back to zero has no scale."""


class ReducedProblem(CellProblem):
    """The form on the mesh cells of a cubature, in the coordinates of its modes.

    Attributes:
        basis: TΦ at its degrees of freedom, shape (N, r).
    """

    def __init__(self, cell: Cell, form: CellForm, basis: Array) -> None:
        """Compile the form; none of its mesh cells are coupled but by the modes."""
        dofs, r = basis.shape
        super().__init__(cell, form, BoundaryMap("reduced", np.full(dofs, -1), r, np.zeros((0, r))))
        self.basis = basis

    def restrict(self, nodal: Array) -> Array:
        """(TΦ)ᵀ applied to one vector (N,) or to columns."""
        coordinates: Array = self.basis.T @ nodal
        return coordinates

    def prolong(self, fluctuation: Array) -> Array:
        """TΦ applied to coordinates (r,) or to columns."""
        nodal: Array = self.basis @ fluctuation
        return nodal


def reduced_newton(problem: ReducedProblem, options: NewtonOptions) -> CellNewton:
    """Newton's iteration for the coordinates."""
    return CellNewton(problem, options, _ReducedSystem(problem), _ReducedNorms(problem))


class _ReducedSystem:
    """Solves with (TΦ)ᵀ K TΦ, for a stiffness K that is dense in each mesh cell and couples none of them."""

    residual: Array | None = None

    def __init__(self, problem: ReducedProblem) -> None:
        cells = problem.cell.mesh.topology.index_map(problem.cell.dim).size_local
        stiffness: sp.bsr_matrix | sp.csr_matrix = problem.local_stiffness
        numbered = stiffness.copy()
        numbered.data = np.arange(stiffness.data.size, dtype=np.float64).reshape(stiffness.data.shape)
        rows = numbered.tocsr()
        rows.sort_indices()
        dofs = rows.shape[0] // cells
        # rows of one mesh cell have the same columns, its own
        columns = rows.indices.reshape(-1, dofs)
        order = np.argsort(columns[:, 0], kind="stable")
        self._places = rows.data.astype(np.int64).reshape(-1, dofs)[order].reshape(cells, dofs, dofs)
        self._flat = problem.basis[order]
        self._by_cell = self._flat.reshape(cells, dofs, -1)
        self._matrix = np.zeros((0, 0))

    def update(self, values: Array) -> None:
        products = values.reshape(-1)[self._places] @ self._by_cell
        self._matrix = self._flat.T @ products.reshape(self._flat.shape)

    def factorize(self) -> None:
        """Nothing: so few unknowns are eliminated with each solution."""

    renew = factorize

    def solve(self, right: Array) -> Array:
        try:
            solution: Array = np.linalg.solve(self._matrix, right)
        except np.linalg.LinAlgError as error:
            raise MicroSolveError("the stiffness of the reduced cell is singular") from error
        return solution

    def solve_many(self, right: Array, guess: Array | None = None) -> Array:
        return self.solve(right)


class _ReducedNorms(GroupNorms):
    """Residuals of modes that move the same fields: those have comparable works."""

    def __init__(self, problem: ReducedProblem) -> None:
        moved = [np.any(problem.basis[dofs] != 0.0, axis=0) for _, dofs in problem.form.fields()]
        _, group = np.unique(moved, axis=1, return_inverse=True)
        self._groups = [np.flatnonzero(group == number) for number in np.unique(group)]
        super().__init__([(rows, np.ones(len(rows))) for rows in self._groups], self._groups)
        self._sizes = np.abs(problem.basis)

    def forces(self, gradient: Array, committed: Array) -> Numbers:
        """Nothing that the present forces do not say."""
        return (0.0,) * self.count

    def nodal(self, nodal: Array) -> Numbers:
        """What the forces of single nodes would add up to if they did not cancel."""
        summands = self._sizes.T @ np.abs(nodal)
        return tuple(max(vector_length(summands[rows]), _NOTHING) for rows in self._groups)

    def round_off(self) -> Numbers:
        return (0.0,) * self.count
