r"""The equations of a reduced cell: few modes, few mesh cells, the same phase laws.

The micro field is :math:`u = X g + T \Phi q` with r modes Φ, and integrals are sums over the mesh cells of an
empirical cubature. With the assembled residual r and stiffness K of these mesh cells, weighted, and
:math:`B = (X, T\Phi)` at their nodes,

.. math::

    (s\,|Y|,\; 0) = B^T r(g, q), \qquad
    \begin{pmatrix} D & L^T \\ L & \hat K \end{pmatrix} = B^T K B, \qquad
    A = \frac{1}{|Y|}\left(D - L^T \hat K^{-1} L\right).

Residual and flux are derivatives of one and the same weighted integral, so the tangent is consistent, and
symmetric where the phases' tangents are (Hernández, Caicedo & Ferrer 2017; Farhat, Chapman & Avery,
Int. J. Numer. Meth. Engng 102 (2015), on why positive weights keep stability).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fe2.errors import MicroSolveError
from fe2.micro.boundary import BoundaryMap
from fe2.micro.form import CellForm
from fe2.micro.newton import NewtonOptions
from fe2.micro.problem import CellProblem

Array = npt.NDArray[np.float64]

_LINE_SEARCH_TRIALS = 8
_NOTHING = 1e-100
"""Forces that are none in any units: round-off of a field that has gone back to zero has no scale."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Equilibrium of a reduced cell.

    Attributes:
        coordinates: Coordinates q of the fluctuation, shape (r,).
        flux: Flux times the volume of the cell, shape (m,).
        tangent: Its derivative with respect to the gradient, shape (m, m).
        sensitivity: Derivative ∂q/∂g, shape (r, m).
        iterations: Linear systems solved.
    """

    coordinates: Array
    flux: Array
    tangent: Array
    sensitivity: Array
    iterations: int


def reduced_space(nodal: int, size: int) -> BoundaryMap:
    """So many coordinates, none of which is a degree of freedom: `ReducedEquations` sets the field itself."""
    return BoundaryMap("reduced", np.full(nodal, -1), size, np.zeros((0, size)))


class ReducedEquations:
    """Equilibrium of a cell on the mesh cells of a cubature, in the coordinates of its modes."""

    def __init__(self, problem: CellProblem, modes: Array, options: NewtonOptions) -> None:
        """Prepare the projection on the modes.

        Args:
            problem: The form on the mesh cells of the cubature, none of which are coupled.
            modes: Modes at its degrees of freedom, shape (N, r).
            options: When the cell counts as solved.
        """
        self._problem, self._options = problem, options
        self._macroscopic = problem.form.modes.shape[1]
        self._fields = np.hstack([problem.form.modes, modes])
        self._sizes = np.abs(modes)
        self._groups = _groups(problem.form, modes)
        cells = problem.cell.mesh.topology.index_map(problem.cell.dim).size_local
        self._projection = _Projection(problem.stiffness, self._fields, cells)

    def solve(self, gradient: Array, start: Array) -> Solution:
        """Newton's iteration from some coordinates, for the state and the time step that the problem holds.

        Raises:
            MicroSolveError: No equilibrium was found, or a phase law failed.
        """
        point, m = self._equilibrate(gradient, start), self._macroscopic
        matrix = self._matrix()
        sensitivity = -_solved(matrix[m:, m:], matrix[m:, :m])
        tangent = matrix[:m, :m] + matrix[:m, m:] @ sensitivity
        return Solution(point.coordinates, point.forces[:m], tangent, sensitivity, point.iterations + 1)

    def _equilibrate(self, gradient: Array, start: Array) -> _Point:
        point = self._at(gradient, start, 0)
        while not (error := self._error(point, point.scale)) <= self._options.tolerance:
            if point.iterations >= self._options.max_iterations or not np.isfinite(error):
                raise MicroSolveError(
                    f"the reduced cell did not converge in {point.iterations} iterations: the residual is "
                    f"{error:.2e} of the forces"
                )
            m = self._macroscopic
            matrix = self._matrix()
            point = self._line_search(gradient, point, -_solved(matrix[m:, m:], point.forces[m:]))
        return point

    def _line_search(self, gradient: Array, start: _Point, direction: Array) -> _Point:
        """Secant search for the zero of direction · residual; a full step that helps is taken."""
        length, error, relative = 1.0, self._error(start, start.scale), direction / start.scale
        slope = float(relative @ self._residual(start, start.scale))
        failure: MicroSolveError | None = None
        for _ in range(_LINE_SEARCH_TRIALS):
            try:
                trial = self._at(gradient, start.coordinates + length * direction, start.iterations + 1)
            except MicroSolveError as found:
                failure, length = found, 0.5 * length
                continue
            new_slope = float(relative @ self._residual(trial, start.scale))
            if self._error(trial, start.scale) <= error or abs(new_slope) <= 0.8 * abs(slope):
                return trial
            secant = slope / (slope - new_slope) if np.isfinite(new_slope) and new_slope != slope else 0.5
            length *= float(np.clip(secant, 0.1, 0.7))
        raise MicroSolveError("the line search of the reduced cell found no step that helps") from failure

    def _at(self, gradient: Array, coordinates: Array, iterations: int) -> _Point:
        """Forces of the reduced cell for a gradient and a fluctuation."""
        problem = self._problem
        if problem.values is not None:
            problem.values.set(gradient)
        problem.form.unknown.x.array[:] = self._fields @ np.concatenate([gradient, coordinates])
        nodal = problem.assemble_residual()
        forces = self._fields.T @ nodal
        if problem.values is not None:
            forces[problem.values.components] = problem.values.fluxes() * problem.cell.volume
        # what the forces of single nodes would add up to if they did not cancel
        summands, scale = self._sizes.T @ np.abs(nodal), np.zeros(len(coordinates))
        for group in self._groups:
            scale[group] = max(float(np.linalg.norm(summands[group])), _NOTHING)
        return _Point(coordinates, forces, scale, iterations)

    def _error(self, point: _Point, scale: Array) -> float:
        """The largest norm of a group's residual, relative to its scale."""
        residual = self._residual(point, scale)
        return float(np.max([np.linalg.norm(residual[group]) for group in self._groups]))

    def _residual(self, point: _Point, scale: Array) -> Array:
        return point.forces[self._macroscopic :] / scale

    def _matrix(self) -> Array:
        """BᵀKB at the field of the last residual, with what values and their fluxes add to it."""
        matrix, values = self._projection.of(self._problem.assemble_stiffness()), self._problem.values
        if values is not None:
            columns, unit = values.components, np.eye(len(matrix))
            matrix[:, columns] += self._fields.T @ values.forces()
            change = values.flux_change(self._fields, values.chosen(unit))
            matrix[columns] = change * self._problem.cell.volume
        return matrix


class _Projection:
    """BᵀKB for a stiffness K that is dense in each mesh cell and couples none of them."""

    def __init__(self, stiffness: sp.bsr_matrix | sp.csr_matrix, fields: Array, cells: int) -> None:
        numbered = stiffness.copy()
        numbered.data = np.arange(stiffness.data.size, dtype=np.float64).reshape(stiffness.data.shape)
        rows = numbered.tocsr()
        rows.sort_indices()
        dofs = rows.shape[0] // cells
        # rows of one mesh cell have the same columns, its own
        columns = rows.indices.reshape(-1, dofs)
        order = np.argsort(columns[:, 0], kind="stable")
        self._places = rows.data.astype(np.int64).reshape(-1, dofs)[order].reshape(cells, dofs, dofs)
        self._fields = fields[order].reshape(cells, dofs, -1)
        self._flat = fields[order]

    def of(self, values: Array) -> Array:
        """BᵀKB, for the stiffness's values in the order of its data."""
        products = values.reshape(-1)[self._places] @ self._fields
        projected: Array = self._flat.T @ products.reshape(self._flat.shape)
        return projected


@dataclass(frozen=True, eq=False)
class _Point:
    coordinates: Array
    forces: Array
    scale: Array
    iterations: int


def _groups(form: CellForm, modes: Array) -> list[npt.NDArray[np.int64]]:
    """Numbers of the modes that move the same fields: those have comparable works."""
    moved = np.array([np.any(modes[dofs] != 0.0, axis=0) for _, dofs in form.fields()])
    _, group = np.unique(moved, axis=1, return_inverse=True)
    return [np.flatnonzero(group == number) for number in np.unique(group)]


def _solved(matrix: Array, right: Array) -> Array:
    try:
        solution: Array = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError as error:
        raise MicroSolveError("the stiffness of the reduced cell is singular") from error
    return solution
