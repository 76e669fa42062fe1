"""Single-scale problems in ordinary DOLFINx, written without fe2's solvers: what FE² has to agree with."""

from __future__ import annotations

from dataclasses import dataclass, field

import basix
import basix.ufl
import dolfinx.fem.petsc as fem_petsc
import numpy as np
import two_scale
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from petsc4py import PETSc

from fe2.physics.law import ExpressionLaw
from fe2.physics.small_strain import mandel_strain

Array = two_scale.Array


@dataclass
class SingleScale:
    """A strip like `two_scale.clamped` of one phase law, with its history at the quadrature points."""

    mesh: dmesh.Mesh
    law: ExpressionLaw
    relative_tolerance: float
    length: float = 2.0
    norms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        mesh = self.mesh
        space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
        self.u, v = fem.Function(space), ufl.TestFunction(space)
        self.displacement = fem.Constant(mesh, (0.0, 0.0))
        self.bcs = [
            fem.dirichletbc(np.zeros(2), two_scale.boundary_dofs(space, 0, 0.0), space),
            fem.dirichletbc(self.displacement, two_scale.boundary_dofs(space, 0, self.length), space),
        ]
        self.history = {name: self._quadrature_function(size) for name, size in self.law.history(4).items()}
        dt, strain = fem.Constant(mesh, 1.0), plane_strain(self.u)
        metadata = {"quadrature_degree": 2, "quadrature_rule": "default"}
        form = ufl.dot(self.law.flux(strain, self.history, dt), plane_strain(v)) * ufl.dx(metadata=metadata)
        points, _ = basix.make_quadrature(mesh.basix_cell(), 2)
        self.updates = {
            name: fem.Expression(value, points)
            for name, value in self.law.update(strain, self.history, dt).items()
        }
        self.residual = fem.form(form)
        self.problem = fem_petsc.NonlinearProblem(
            form,
            self.u,
            bcs=self.bcs,
            petsc_options_prefix="single_scale_",
            petsc_options={
                "snes_linesearch_type": "bt",
                "ksp_type": "preonly",
                "pc_type": "lu",
                "pc_factor_mat_solver_type": "mumps",
            },
        )
        self.problem.solver.setConvergenceTest(self._converged)

    def step(self, displacement: tuple[float, float]) -> int:
        """Take one load step and keep its history; the number of Newton iterations."""
        self.displacement.value, self.norms = displacement, []
        self.problem.solve()
        cells = np.arange(self.mesh.topology.index_map(2).size_local, dtype=np.int32)
        new = {name: update.eval(self.mesh, cells).reshape(-1) for name, update in self.updates.items()}
        for name, values in new.items():
            self.history[name].x.array[: len(values)] = values
        return self.problem.solver.getIterationNumber()

    def reactions(self) -> list[Array]:
        """Force on each of the two ends."""
        internal = fem.assemble_vector(self.residual).array
        return [internal[bc.dof_indices()[0]].reshape(-1, 2).sum(axis=0) for bc in self.bcs]

    def _converged(self, snes: PETSc.SNES, iteration: int, norms: tuple[float, float, float]) -> int:
        # the residual is small against the first one and the reactions, as in fe2.MacroProblem
        self.norms.append(norms[2])
        internal = fem.assemble_vector(self.residual).array
        ends = np.concatenate([bc.dof_indices()[0] for bc in self.bcs])
        forces = max(np.linalg.norm(internal[ends]), self.norms[0])
        return 2 if norms[2] <= self.relative_tolerance * forces else 0

    def _quadrature_function(self, size: int) -> fem.Function:
        element = basix.ufl.quadrature_element(
            self.mesh.basix_cell(), value_shape=(size,) if size > 1 else (), degree=2, scheme="default"
        )
        return fem.Function(fem.functionspace(self.mesh, element))


def plane_strain(u: ufl.core.expr.Expr) -> ufl.core.expr.Expr:
    """Strain in Mandel components xx, yy, zz, xy with no strain across the plane."""
    strain = mandel_strain(u)
    return ufl.as_vector([strain[0], strain[1], 0.0, strain[2]])
