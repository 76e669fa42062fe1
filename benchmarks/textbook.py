"""A short FE² as textbooks have it, on the same forms: what the strategies of fe2 are compared with.

Every cell starts from its last converged fluctuation. Newton's iteration runs to the full tolerance, with
steps that are halved where the residual would grow: without that, nearly perfect plasticity diverges.
Every iteration assembles, analyses and factorizes a new matrix (MUMPS, LU), and one more factorization
gives the tangent. Forms are compiled with DOLFINx's own settings. The macroscopic problem is fe2's.
"""

from __future__ import annotations

import fe2  # isort: skip  # before DOLFINx

import numpy as np
import numpy.typing as npt
from dolfinx import fem
from petsc4py import PETSc

from fe2.errors import MicroSolveError
from fe2.profile import count
from fe2.response import Response

Array = npt.NDArray[np.float64]


class Textbook(fe2.Pointwise):
    """A micro model with the textbook's iteration for the cell problem of an RVE in small strain."""

    def __init__(self, rve: fe2.RVE, tolerance: float, max_iterations: int = 30) -> None:
        self._rve, self._problem = rve, rve._problem
        self.kinematics = rve.kinematics
        lasting = [field for field in rve.state.fields.values() if field.lasts]
        self.state = fe2.StateLayout(*lasting)
        self.tolerance, self.max_iterations = tolerance, max_iterations
        form = rve.form
        self._residual = fem.form(form.residual)
        self._jacobian = fem.form(form.derived_jacobian())
        self._map = self._problem.boundary.matrix
        self._forces: Array | None = None

    def respond(
        self, gradient: Array, committed: Array, trial: Array, point: fe2.Point, step: fe2.Step
    ) -> Response:
        """Full Newton iteration from the committed fluctuation, and the tangent at its end."""
        problem, layout, form = self._problem, self._problem.layout, self._rve.form
        state, dt, out = committed, step.dt, trial
        problem.load(state, dt)
        fluctuation, iterations = state[layout.fluctuation].copy(), 0
        scale = np.linalg.norm(self._elastic_forces() @ gradient)
        nodal, residual = self._residual_at(gradient, fluctuation)
        while np.linalg.norm(residual) > self.tolerance * max(scale, np.linalg.norm(nodal)):
            if iterations == self.max_iterations:
                raise MicroSolveError("the textbook's iteration did not converge")
            direction = -self._solve(self._stiffness()[1], residual[:, None])[:, 0]
            before, start = np.linalg.norm(residual), fluctuation
            for halvings in range(6):
                fluctuation = start + 0.5**halvings * direction
                nodal, residual = self._residual_at(gradient, fluctuation)
                if np.linalg.norm(residual) < before:
                    break
            iterations += 1
        stiffness, folded = self._stiffness()
        sensitivity = -self._solve(folded, self._map.T @ (stiffness @ form.modes))
        tangent = form.modes.T @ (stiffness @ (form.modes + self._map @ sensitivity)) / problem.cell.volume
        problem.new_history(out)
        out[layout.gradient], out[layout.fluctuation] = gradient, fluctuation
        return Response(form.modes.T @ nodal / problem.cell.volume, tangent, iterations + 1, 0.0)

    def _residual_at(self, gradient: Array, fluctuation: Array) -> tuple[Array, Array]:
        count("residuals")
        self._problem.set_field(gradient, fluctuation)
        nodal = fem.assemble_vector(self._residual).array
        return nodal, self._map.T @ nodal

    def averages(self, states: Array) -> dict[str, Array]:
        """Those of the RVE."""
        return self._rve.averages(states)

    def _elastic_forces(self) -> Array:
        if self._forces is None:
            self._forces = self._stiffness()[0] @ self._rve.form.modes
        return self._forces

    def _stiffness(self):
        count("assemblies")
        stiffness = fem.assemble_matrix(self._jacobian).to_scipy().tocsr()
        return stiffness, (self._map.T @ stiffness @ self._map).tocsr()

    def _solve(self, matrix, right: Array) -> Array:
        count("factorizations")
        count("solves", right.shape[1])
        K = PETSc.Mat().createAIJ(matrix.shape, csr=(matrix.indptr, matrix.indices, matrix.data))
        ksp = PETSc.KSP().create(K.comm)
        ksp.setOperators(K)
        ksp.setType("preonly")
        ksp.getPC().setType("lu")
        ksp.getPC().setFactorSolverType("mumps")
        ksp.setUp()
        b, x = K.createVecs()
        result = np.empty_like(right)
        for column in range(right.shape[1]):
            b.array[:] = right[:, column]
            ksp.solve(b, x)
            result[:, column] = x.array
        for thing in (ksp, K, b, x):
            thing.destroy()
        return result
