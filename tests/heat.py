"""Transient conduction in a strip on two scales and on one, for the tests."""

from __future__ import annotations

import two_scale  # isort: skip  # before dolfinx

from dataclasses import dataclass

import basix.ufl
import dolfinx.fem.petsc as fem_petsc
import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from petsc4py import PETSc

from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.model import MicroModel
from fe2.physics.conduction import DiffusionLaw
from fe2.physics.diffusion import value_and_gradient

Array = two_scale.Array

TIGHT = {"snes_rtol": 1e-11, "snes_linesearch_type": "l2"}


@dataclass
class Strip:
    """A strip whose ends have given temperatures."""

    problem: MacroProblem
    law: HomogenizedLaw
    left: fem.DirichletBC
    right: fem.DirichletBC
    temperatures: tuple[fem.Constant, fem.Constant]

    @property
    def T(self) -> fem.Function:
        return self.problem.unknown

    def start(self, value: float) -> None:
        self.T.x.array[:] = value
        self.problem.initialize()

    def step(self, left: float, right: float, dt: float) -> int:
        self.temperatures[0].value, self.temperatures[1].value = left, right
        iterations = self.problem.solve(dt)
        self.problem.commit()
        return iterations

    def inflow(self) -> float:
        """Heat that enters through both ends in a unit of time."""
        return float(sum(self.problem.reaction(bc)[0] for bc in (self.left, self.right)))

    def content(self) -> float:
        """Heat in the strip; collective."""
        mesh, law = self.T.function_space.mesh, self.law
        enthalpy = law.micro.averages(law.pool.states)["enthalpy"][:, 0]
        weights = fem.assemble_vector(fem.form(ufl.TestFunction(_scalars(law)) * law.dx)).array
        return float(mesh.comm.allreduce(weights[: len(enthalpy)] @ enthalpy))


def _scalars(law: HomogenizedLaw) -> fem.FunctionSpace:
    mesh = law.flux.function_space.mesh
    return fem.functionspace(
        mesh, basix.ufl.quadrature_element(mesh.basix_cell(), degree=2, scheme="default")
    )


def ends(space: fem.FunctionSpace) -> tuple[list[fem.DirichletBC], tuple[fem.Constant, fem.Constant]]:
    values = fem.Constant(space.mesh, 0.0), fem.Constant(space.mesh, 0.0)
    places = (two_scale.boundary_dofs(space, 0, at) for at in (0.0, 2.0))
    return [fem.dirichletbc(v, dofs, space) for v, dofs in zip(values, places, strict=True)], values


def strip(mesh: dmesh.Mesh, micro: MicroModel) -> Strip:
    space = fem.functionspace(mesh, ("Lagrange", 1))
    T, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(value_and_gradient(T), micro, quadrature_degree=2)
    bcs, values = ends(space)
    form = ufl.dot(law.flux, value_and_gradient(v)) * law.dx
    return Strip(MacroProblem(form, T, law, bcs=bcs, petsc_options=TIGHT), law, *bcs, values)


class SingleScale:
    """The same strip of one material, in plain DOLFINx."""

    def __init__(self, mesh: dmesh.Mesh, law: DiffusionLaw) -> None:
        space = fem.functionspace(mesh, ("Lagrange", 1))
        self.T, self.before, v = fem.Function(space), fem.Function(space), ufl.TestFunction(space)
        self.bcs, self.temperatures = ends(space)
        self.dt = fem.Constant(mesh, 1.0)
        stored = (law.stored(self.T) - law.stored(self.before)) / self.dt
        flux = law.conducted(self.T, ufl.grad(self.T))
        form = (stored * v + ufl.dot(flux, ufl.grad(v))) * ufl.dx(metadata={"quadrature_degree": 2})
        self.residual = fem.form(form)
        self.problem = fem_petsc.NonlinearProblem(
            form,
            self.T,
            bcs=self.bcs,
            petsc_options_prefix="single_scale_heat_",
            petsc_options={"snes_linesearch_type": "l2", "ksp_type": "preonly", "pc_type": "lu"},
        )
        self.problem.solver.setConvergenceTest(self._converged)

    def start(self, value: float) -> None:
        self.T.x.array[:] = self.before.x.array[:] = value

    def step(self, left: float, right: float, dt: float) -> int:
        self.temperatures[0].value, self.temperatures[1].value, self.dt.value = left, right, dt
        self.problem.solve()
        self.before.x.array[:] = self.T.x.array
        return int(self.problem.solver.getIterationNumber())

    def _converged(self, snes: PETSc.SNES, iteration: int, norms: tuple[float, float, float]) -> int:
        self.first = norms[2] if iteration == 0 else self.first
        internal = fem.assemble_vector(self.residual).array
        dofs = np.concatenate([bc.dof_indices()[0] for bc in self.bcs])
        forces = max(float(np.linalg.norm(internal[dofs])), self.first)
        return 2 if norms[2] <= TIGHT["snes_rtol"] * forces else 0
