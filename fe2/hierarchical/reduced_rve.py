r"""The reduced representative volume element: few modes, few mesh cells, the same phase laws.

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

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fe2.errors import MicroSolveError
from fe2.hierarchical.basis import Basis
from fe2.hierarchical.cubature import Cubature
from fe2.hierarchical.restriction import restrict
from fe2.hierarchical.trained_range import TrainedRange
from fe2.identity import facts
from fe2.micro.boundary import BoundaryMap
from fe2.micro.form import HistoryVariable
from fe2.micro.newton import NewtonOptions
from fe2.micro.problem import CellProblem
from fe2.micro.rve import RVE
from fe2.physics.kinematics import Kinematics
from fe2.quadrature import point_weights
from fe2.response import Response

Array = npt.NDArray[np.float64]

_LINE_SEARCH_TRIALS = 8


@dataclass(frozen=True, eq=False)
class ReducedSpace(BoundaryMap):
    """Fluctuations of the reduced cell at the nodes of its mesh cells: combinations of modes.

    Attributes:
        modes: Modes at the degrees of freedom, shape (N, r).
    """

    modes: Array

    @classmethod
    def of(cls, modes: Array) -> Self:
        """The space that the columns span."""
        count, size = modes.shape
        return cls("reduced", np.full(count, -1), size, np.zeros((0, size)), modes)

    @property
    def matrix(self) -> sp.csr_matrix:
        """The map from coordinates to degrees of freedom, shape (N, r)."""
        return sp.csr_matrix(self.modes)


class ReducedRVE:
    """A reduced representative volume element, a micro model.

    Its state holds the gradient, the coordinates q of the fluctuation, the history at the mesh cells of the
    cubature, and behind them the last sensitivity ∂q/∂g, with which the next iteration begins.

    Attributes:
        basis: Modes of the fluctuation.
        cubature: Mesh cells and weights.
        trained: The range of gradients and time steps in which it answers.
    """

    def __init__(
        self,
        rve: RVE,
        basis: Basis,
        cubature: Cubature,
        trained: TrainedRange,
        options: NewtonOptions | None = None,
    ) -> None:
        """Put the form on the mesh cells of the cubature.

        Args:
            rve: The whole cell.
            basis: Modes of the fluctuation.
            cubature: Mesh cells and weights.
            trained: The range of gradients and time steps in which it answers.
            options: When the cell counts as solved.

        Raises:
            InputError: The form has integrals over facets.
        """
        self.basis, self.cubature, self.trained = basis, cubature, trained
        self._rve = rve
        self._options = options or NewtonOptions()
        self._part = restrict(rve.cell, rve.form, cubature.cells, cubature.weights)
        modes = rve.problem.prolong(basis.modes)[self._part.dofs]
        self._problem = CellProblem(self._part.cell, self._part.form, ReducedSpace.of(modes))
        self._layout = self._problem.layout
        self._fields = np.hstack([self._part.form.modes, modes])
        self._sizes = np.abs(modes)
        self._projection = _Projection(self._problem.stiffness, self._fields, len(cubature.cells))
        self._weights = self._history_weights()
        self._virgin = self.from_full(rve.initial_state())

    @property
    def kinematics(self) -> Kinematics:
        """Names and sizes of gradient and flux."""
        return self._rve.kinematics

    @property
    def rve(self) -> RVE:
        """The whole cell."""
        return self._rve

    @property
    def unknowns(self) -> int:
        """Number of modes."""
        return self.basis.size

    @property
    def description(self) -> dict[str, Any]:
        """The whole cell and the reduction of its states as facts that can be compared; collective."""
        return {**self._rve.description, "modes": self.basis.size, "cubature": facts(self.cubature.cells)}

    @property
    def state_size(self) -> int:
        """Numbers that one quadrature point remembers."""
        return self._layout.lasting_size + self.basis.size * self.kinematics.size

    @property
    def lasting_size(self) -> int:
        """Leading part of the state that cannot be computed anew; the sensitivity ∂q/∂g is behind it."""
        return self._layout.lasting_size

    def initial_state(self) -> Array:
        """The virgin state."""
        return self._virgin.copy()

    def solve(self, gradient: Array, state: Array, dt: float, out: Array) -> Response:
        """Equilibrium of the reduced cell at the end of a time step, with the consistent tangent.

        See `MicroModel.solve` for the arguments.

        Raises:
            OutsideRangeError: The gradient or the time step lies outside of what was trained.
            MicroSolveError: No equilibrium was found, or a phase law failed.
        """
        start = time.perf_counter()
        self.trained.check(gradient, dt)
        layout, m = self._layout, self.kinematics.size
        self._problem.load(state, dt)
        point = self._equilibrate(gradient, self._predicted(gradient, state))
        matrix = self._matrix()
        sensitivity = -_solved(matrix[m:, m:], matrix[m:, :m])
        tangent = (matrix[:m, :m] + matrix[:m, m:] @ sensitivity) / self._part.cell.volume
        flux = point.forces[:m] / self._part.cell.volume
        if not (np.all(np.isfinite(flux)) and np.all(np.isfinite(tangent))):
            raise MicroSolveError("the reduced cell gave a flux or a tangent that is not finite")
        self._problem.new_history(out)
        out[layout.gradient], out[layout.fluctuation] = gradient, point.coordinates
        out[layout.lasting_size :] = sensitivity.reshape(-1)
        return Response(flux, tangent, point.iterations + 1, time.perf_counter() - start)

    def averages(self, states: Array) -> dict[str, Array]:
        """Volume averages of the history variables by the cubature, for states (n, state_size)."""
        result: dict[str, Array] = {}
        for (variable, values), weights in zip(self._problem.history_of(states), self._weights, strict=True):
            average = np.einsum("q,nqc->nc", weights, values) / self._part.cell.volume
            result[variable.name] = result.get(variable.name, 0.0) + average
        return result

    def history_of(self, states: Array) -> Iterator[tuple[HistoryVariable, Array]]:
        """History variables of states at the mesh cells of the cubature, as `CellProblem.history_of`."""
        return self._problem.history_of(states)

    def from_full(self, state: Array) -> Array:
        """The state of the reduced cell that a state of the whole cell leads to.

        The fluctuation is projected in the norm of the virgin stiffness; the history at the mesh cells of the
        cubature is kept as it is.
        """
        problem, layout = self._rve.problem, self._layout
        row = np.zeros(self.state_size)
        row[layout.gradient] = state[problem.layout.gradient]
        row[layout.fluctuation] = self.basis.dual.T @ state[problem.layout.fluctuation]
        pairs = zip(
            problem.history_of(state[None, : problem.layout.lasting_size]),
            self._part.form.history,
            layout.history,
            strict=True,
        )
        for (variable, values), twin, part in pairs:
            places = np.searchsorted(variable.cells, self._part.parents[twin.cells])
            row[part] = values[0].reshape(len(variable.cells), -1)[places].reshape(-1)
        return row

    def fluctuation(self, state: Array) -> Array:
        """Free fluctuations of the whole cell, shape (n,), as the modes give them."""
        full: Array = self.basis.modes @ state[self._layout.fluctuation]
        return full

    def _predicted(self, gradient: Array, last: Array) -> Array:
        """Coordinates of the fluctuation that the last solution and its sensitivity ∂q/∂g predict."""
        layout = self._layout
        sensitivity = last[layout.lasting_size :].reshape(self.basis.size, -1)
        predicted: Array = last[layout.fluctuation] + sensitivity @ (gradient - last[layout.gradient])
        return predicted

    def _history_weights(self) -> list[Array]:
        form, mesh = self._part.form, self._part.cell.mesh
        weights = self.cubature.weights[np.searchsorted(self.cubature.cells, self._part.parents)]
        result = []
        for variable in form.history:
            volumes = point_weights(mesh, form.quadrature_degree, variable.cells)
            result.append(
                (volumes.reshape(len(variable.cells), -1) * weights[variable.cells, None]).reshape(-1)
            )
        return result

    def _equilibrate(self, gradient: Array, start: Array) -> _Point:
        point = self._at(gradient, start, 0)
        while not point.norm <= self._options.tolerance * point.scale:
            if point.iterations >= self._options.max_iterations or not np.isfinite(point.norm):
                raise MicroSolveError(
                    f"the reduced cell did not converge in {point.iterations} iterations: residual "
                    f"{point.norm:.2e}, forces {point.scale:.2e}"
                )
            m = self.kinematics.size
            matrix = self._matrix()
            point = self._line_search(gradient, point, -_solved(matrix[m:, m:], point.forces[m:]))
        return point

    def _line_search(self, gradient: Array, start: _Point, direction: Array) -> _Point:
        """Secant search for the zero of direction · residual; a full step that helps is taken."""
        m, length = self.kinematics.size, 1.0
        slope = float(direction @ start.forces[m:])
        failure: MicroSolveError | None = None
        for _ in range(_LINE_SEARCH_TRIALS):
            try:
                trial = self._at(gradient, start.coordinates + length * direction, start.iterations + 1)
            except MicroSolveError as error:
                failure, length = error, 0.5 * length
                continue
            new_slope = float(direction @ trial.forces[m:])
            if trial.norm <= start.norm or abs(new_slope) <= 0.8 * abs(slope):
                return trial
            secant = slope / (slope - new_slope) if np.isfinite(new_slope) and new_slope != slope else 0.5
            length *= float(np.clip(secant, 0.1, 0.7))
        raise MicroSolveError("the line search of the reduced cell found no step that helps") from failure

    def _at(self, gradient: Array, coordinates: Array, iterations: int) -> _Point:
        """Forces of the reduced cell for a gradient and a fluctuation."""
        m = self.kinematics.size
        self._part.form.unknown.x.array[:] = self._fields @ np.concatenate([gradient, coordinates])
        nodal = self._problem.assemble_residual()
        forces = self._fields.T @ nodal
        # what the forces of single nodes would add up to if they did not cancel
        scale = float(np.linalg.norm(self._sizes.T @ np.abs(nodal)))
        return _Point(coordinates, forces, float(np.linalg.norm(forces[m:])), scale, iterations)

    def _matrix(self) -> Array:
        """BᵀKB at the field of the last residual."""
        return self._projection.of(self._problem.assemble_stiffness())


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
    norm: float
    scale: float
    iterations: int


def _solved(matrix: Array, right: Array) -> Array:
    try:
        solution: Array = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError as error:
        raise MicroSolveError("the stiffness of the reduced cell is singular") from error
    return solution
