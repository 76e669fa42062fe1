"""What the benchmarks solve: a plate with a hole and a tapered bar, of elastoplastic cells with inclusions.

Plane strain: quadratic triangles, 24 by 24 squares, 4,606 unknowns a cell, 72 points. Space: linear
tetrahedra, 12³ or 17³ cubes, 5,181 or 14,736 unknowns a cell, 18 or 6 points. The matrix flows after J2 with
a hardening modulus of 1 % of Young's, the inclusion stays elastic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import fe2  # isort: skip  # before DOLFINx

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.micro.cell import Cell, make_cell
from fe2.micro.model import MicroModel

Array = npt.NDArray[np.float64]

TOLERANCE = 1e-8
_CHANGED = 1e-6
"""Change of a tangent that counts as one, relative to its largest component."""
STEPS = (0.25, 0.5, 0.75, 1.0, 0.8, 0.6, 0.9, 1.1)
"""Load factors: loading, unloading, loading again beyond the first maximum."""


@dataclass(frozen=True)
class Case:
    """One specimen with one cell and one load level."""

    dim: int
    divisions: int
    load: float
    points: int


CASES = {
    "2D 4.6k, localized": Case(2, 24, 1.0e-3, 72),
    "2D 4.6k, all plastic": Case(2, 24, 6.0e-3, 72),
    "3D 5k, localized": Case(3, 12, 1.2e-3, 18),
    "3D 5k, all plastic": Case(3, 12, 6.0e-3, 18),
    "3D 15k, localized": Case(3, 17, 1.2e-3, 6),
    "3D 15k, all plastic": Case(3, 17, 6.0e-3, 6),
}


def cell(dim: int, divisions: int) -> Cell:
    """A unit cell of simplices with an inclusion of radius 0.3, as fine as the mesh has it."""
    box = [np.full(dim, -0.5), np.full(dim, 0.5)], [divisions] * dim
    if dim == 2:
        mesh = dmesh.create_rectangle(MPI.COMM_SELF, *box, dmesh.CellType.triangle)
    else:
        mesh = dmesh.create_box(MPI.COMM_SELF, *box, dmesh.CellType.tetrahedron)
    count = mesh.topology.index_map(dim).size_local
    middles = dmesh.compute_midpoints(mesh, dim, np.arange(count, dtype=np.int32))
    inside = np.linalg.norm(middles[:, :dim], axis=1) < 0.3
    return make_cell(mesh, inside.astype(np.int32), ["matrix", "inclusion"])


def laws() -> dict[str, fe2.PhaseLaw]:
    """Phase laws, in MPa."""
    return {
        "matrix": fe2.J2Plasticity(young=70e3, poisson=0.3, yield_stress=100.0, hardening=700.0),
        "inclusion": fe2.LinearElastic.isotropic(400e3, 0.2),
    }


def rve(case: Case, strategy: str = "adaptive", **options: object) -> fe2.RVE:
    """The cell of a case, to the tolerance of the benchmarks."""
    newton = fe2.NewtonOptions(tolerance=TOLERANCE, strategy=strategy, **options)
    return fe2.small_strain(
        cell(case.dim, case.divisions), laws(), degree=2 if case.dim == 2 else 1, options=newton
    )


def plate(comm: MPI.Comm, points: int = 72) -> dmesh.Mesh:
    """A quarter of a square plate of side 2 with a hole of radius 0.4, one triangle for each point."""
    n = max(1, round(np.sqrt(points / 2)))
    mesh = dmesh.create_rectangle(comm, [np.zeros(2), np.ones(2)], [n, max(1, points // (2 * n))])
    s, t = mesh.geometry.x[:, 0].copy(), mesh.geometry.x[:, 1].copy()
    angle = 0.5 * np.pi * t
    direction = np.array([np.cos(angle), np.sin(angle)])
    outer = 1.0 / np.abs(direction).max(axis=0)
    mesh.geometry.x[:, :2] = ((0.4 + s**1.5 * (outer - 0.4)) * direction).T
    return mesh


def bar(comm: MPI.Comm, points: int) -> dmesh.Mesh:
    """A bar of length 2 that tapers to 60 % of its width, six tetrahedra for each part of its length."""
    mesh = dmesh.create_box(comm, [np.zeros(3), np.array([2.0, 1.0, 1.0])], [max(1, points // 6), 1, 1])
    x = mesh.geometry.x
    x[:, 1:] = 0.5 + (x[:, 1:] - 0.5) * (1.0 - 0.2 * x[:, :1])
    return mesh


@dataclass
class Specimen:
    """A macroscopic problem that is pulled at its far side.

    Attributes:
        flowed: Points whose tangent was not the virgin one at the end of some step of the last run.
    """

    problem: fe2.MacroProblem
    law: fe2.HomogenizedLaw
    pull: fem.Constant
    grip: fem.DirichletBC
    length: float
    load: float
    flowed: int = 0

    def run(self, factors: Sequence[float] = STEPS) -> tuple[Array, list[int]]:
        """Reactions of the grip and Newton iterations of all steps."""
        reactions, iterations, virgin = [], [], self._virgin_tangent()
        changed = np.zeros(len(self.law.tangents()), dtype=bool)
        for factor in factors:
            self.pull.value = factor * self.load * self.length
            iterations.append(self.problem.solve(1.0))
            self.problem.commit()
            reactions.append(self.problem.reaction(self.grip)[0])
            differences = np.abs(self.law.tangents() - virgin).max(axis=(1, 2))
            changed |= differences > _CHANGED * np.abs(virgin).max()
        self.flowed = self.law.flux.function_space.mesh.comm.allreduce(int(changed.sum()))
        return np.array(reactions), iterations

    def _virgin_tangent(self) -> Array:
        micro, row = self.law.micro, self.law.micro.initial_state()
        return micro.solve(micro.kinematics.origin, row, 0.0, np.empty_like(row)).tangent


def specimen(case: Case, micro: MicroModel, comm: MPI.Comm = MPI.COMM_WORLD) -> Specimen:
    """The specimen of a case with a micro model at each point."""
    mesh = plate(comm, case.points) if case.dim == 2 else bar(comm, case.points)
    space = fem.functionspace(mesh, ("Lagrange", 1, (case.dim,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = fe2.HomogenizedLaw(fe2.strain(u), micro, quadrature_degree=1)
    pull = fem.Constant(mesh, 0.0)
    length = 1.0 if case.dim == 2 else 2.0
    grip = fem.dirichletbc(pull, _dofs(space, 0, lambda x: np.isclose(x[0], length)), space.sub(0))
    planes = [
        fem.dirichletbc(0.0, _dofs(space, i, lambda x, i=i: np.isclose(x[i], x[i].min())), space.sub(i))
        for i in range(case.dim)
    ]
    if case.dim == 3:  # the bar is not symmetric to planes across: hold its clamped end
        planes = [fem.dirichletbc(np.zeros(3), _dofs(space, None, lambda x: np.isclose(x[0], 0.0)), space)]
    form = ufl.dot(law.flux, fe2.strain(v)) * law.dx
    problem = fe2.MacroProblem(form, u, law, bcs=[*planes, grip], petsc_options={"snes_rtol": TOLERANCE})
    return Specimen(problem, law, pull, grip, length, case.load)


def _dofs(
    space: fem.FunctionSpace, component: int | None, where: Callable[[Array], npt.NDArray[np.bool_]]
) -> npt.NDArray[np.int32]:
    facets = dmesh.locate_entities_boundary(space.mesh, space.mesh.topology.dim - 1, where)
    part = space if component is None else space.sub(component)
    return fem.locate_dofs_topological(part, space.mesh.topology.dim - 1, facets)
