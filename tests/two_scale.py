"""Micro models and macroscopic problems that the tests share: small, and of few different forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import fe2  # noqa: F401  # isort: skip  # before dolfinx, also where there is no conftest

import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI

from fe2.dispatch.options import Parallel
from fe2.errors import MicroSolveError
from fe2.macro.law import Array, HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.cell import Cell
from fe2.micro.image_cell import image_cell
from fe2.micro.model import MicroModel, Pointwise
from fe2.micro.newton import NewtonOptions
from fe2.micro.points import Point, Step
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.micro.state import StateField, StateLayout
from fe2.msh.partition import Partitioner
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law import PhaseLaw
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.small_strain import mandel_strain, small_strain_kinematics
from fe2.response import Response

STEEL = J2Plasticity(young=200e3, poisson=0.3, yield_stress=400.0, hardening=2e3)  # MPa
ALUMINIUM = J2Plasticity(young=70e3, poisson=0.2, yield_stress=100.0, hardening=7e3)
STIFF, SOFT = LinearElastic.isotropic(210e3, 0.3), LinearElastic.isotropic(70e3, 0.2)

MICRO_TOLERANCE = 1e-10


@cache
def fibre_cell() -> Cell:
    """A square fibre in a square cell, 4 by 4 elements, volume fraction 1/4."""
    labels = np.zeros((4, 4), dtype=int)
    labels[1:3, 1:3] = 1
    return image_cell(labels, {"matrix": 0, "fibre": 1}, voxel_size=0.25)


@cache
def laminate_cell(layers: int = 2) -> Cell:
    """Layers normal to x, of five columns of elements; `layers` of them are fibre."""
    labels = np.zeros((5, 3), dtype=int)
    labels[:layers] = 1
    return image_cell(labels, {"matrix": 0, "fibre": 1}, voxel_size=0.2)


def rve(
    cell: Cell,
    matrix: PhaseLaw,
    fibre: PhaseLaw,
    tolerance: float = MICRO_TOLERANCE,
    strategy: Any = "adaptive",
) -> RVE:
    options = NewtonOptions(tolerance=tolerance, strategy=strategy)
    return small_strain(cell, {"matrix": matrix, "fibre": fibre}, options=options)


@cache
def elastic_rve() -> RVE:
    return rve(fibre_cell(), SOFT, STIFF)


@cache
def plastic_rve(strategy: str = "adaptive") -> RVE:
    return rve(fibre_cell(), ALUMINIUM, STEEL, strategy=strategy)


@cache
def uniform_plastic_rve(strategy: str = "adaptive") -> RVE:
    """Two phases of the same elastoplastic material."""
    return rve(fibre_cell(), ALUMINIUM, ALUMINIUM, strategy=strategy)


class Maxwell(Pointwise):
    r"""A closed formula with memory: :math:`s = C (g - q)`, :math:`\tau \dot q = g - q`, backward Euler."""

    kinematics = small_strain_kinematics(2)
    state = StateLayout(StateField("viscous strain", (3,)))

    def __init__(self, stiffness: Array, relaxation_time: float = 2.0) -> None:
        self.stiffness, self.relaxation_time = stiffness, relaxation_time

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        ratio = step.dt / self.relaxation_time
        trial[:] = (committed + ratio * gradient) / (1.0 + ratio)
        return Response(self.stiffness @ (gradient - trial), self.stiffness / (1.0 + ratio), 1)

    def averages(self, states: Array) -> dict[str, Array]:
        return {"viscous_strain": states}


@dataclass
class Locking(Pointwise):
    r"""A closed formula that holds only for small gradients: :math:`s = E g / (1 - |g|^2/L^2)`, |g| < L.

    Beyond the limit it fails in the way asked for.
    """

    young: float = 1.0
    limit: float = 1.0
    failure: str = "error"
    kinematics = small_strain_kinematics(2)
    state = StateLayout(StateField("gradient", (3,)))
    failures: int = field(default=0, init=False)

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        trial[:] = gradient
        left = 1.0 - gradient @ gradient / self.limit**2
        if left <= 0.0:
            self.failures += 1
            if self.failure == "error":
                raise MicroSolveError("the material is locked")
            if self.failure == "exception":
                raise ZeroDivisionError("division by what is left")
            if self.failure == "mistake":
                raise TypeError("no such argument")
            return Response(np.full(3, np.nan), np.eye(3), 1)
        flux = self.young * gradient / left
        slope = 2.0 / self.limit**2 / left * np.outer(flux, gradient)
        return Response(flux, self.young / left * np.eye(3) + slope, 1)


@dataclass
class Guarded(Pointwise):
    """A micro model that gives up where the time step, the strain along x or its increment is too large.

    For the increment the state has to begin with the gradient, as that of an RVE does.
    """

    model: MicroModel
    longest_step: float = np.inf
    largest_strain: float = np.inf
    largest_increment: float = np.inf

    def __post_init__(self) -> None:
        self.kinematics, self.state = self.model.kinematics, self.model.state

    def initial_state(self) -> Array:
        return self.model.initial_state()

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        if step.dt > self.longest_step:
            raise MicroSolveError(f"a time step of {step.dt:g} is too long")
        if gradient[0] > self.largest_strain:
            raise MicroSolveError(f"a strain of {gradient[0]:g} is too large")
        if (change := abs(gradient[0] - committed[0])) > self.largest_increment:
            raise MicroSolveError(f"an increment of the strain of {change:g} is too large")
        return self.model.respond(gradient, committed, trial, point, step)

    def averages(self, states: Array) -> dict[str, Array]:
        return self.model.averages(states)


def rectangle(
    comm: MPI.Comm,
    elements: tuple[int, int] = (4, 2),
    size: tuple[float, float] = (2.0, 1.0),
    partitioner: Partitioner | None = None,
) -> dmesh.Mesh:
    corners, shape = [np.zeros(2), np.array(size)], dmesh.CellType.quadrilateral
    return dmesh.create_rectangle(comm, corners, elements, shape, partitioner=partitioner)


def distorted(comm: MPI.Comm, elements: tuple[int, int], size: tuple[float, float]) -> dmesh.Mesh:
    """A rectangle whose inner nodes are moved, the same on any number of ranks."""
    mesh = rectangle(comm, elements, size)
    points = mesh.geometry.x[:, :2]
    inside = np.all((points > 1e-6) & (points < np.array(size) - 1e-6), axis=1)
    x = points[inside]
    mesh.geometry.x[inside, :2] += 0.08 * np.sin(7.0 * x + 3.0 * x[:, ::-1])
    return mesh


def boundary_dofs(space: fem.FunctionSpace, axis: int, value: float, component: int | None = None) -> Array:
    """Degrees of freedom on a side of a rectangle: all of them, or those of one component."""
    mesh = space.mesh
    facets = dmesh.locate_entities_boundary(mesh, 1, lambda x: np.isclose(x[axis], value))
    return fem.locate_dofs_topological(space if component is None else space.sub(component), 1, facets)


def boundary_dofs_of(spaces: tuple[Any, Any], axis: int, value: float) -> Any:
    """Degrees of freedom on a side of a rectangle, of a part of a mixed space and of that part alone."""
    mesh = spaces[1].mesh
    facets = dmesh.locate_entities_boundary(mesh, 1, lambda x: np.isclose(x[axis], value))
    return fem.locate_dofs_topological(spaces, 1, facets)


@dataclass
class Specimen:
    """A macroscopic problem with a clamped left and a displaced right end."""

    problem: MacroProblem
    law: HomogenizedLaw
    displacement: fem.Constant
    left: fem.DirichletBC
    right: fem.DirichletBC

    @property
    def unknown(self) -> fem.Function:
        return self.problem.unknown

    def step(self, displacement: tuple[float, float], dt: float = 1.0) -> int:
        """Take one load step and commit it; the number of Newton iterations."""
        self.displacement.value = displacement
        iterations = self.problem.solve(dt)
        self.problem.commit()
        return iterations


def clamped(
    mesh: dmesh.Mesh,
    micro: MicroModel,
    options: Mapping[str, Any] | None = None,
    length: float = 2.0,
    parallel: Parallel | None = None,
) -> Specimen:
    """A strip whose ends are clamped, the right one to a displaced wall: fields are not uniform."""
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=2, parallel=parallel)
    displacement = fem.Constant(mesh, (0.0, 0.0))
    left = fem.dirichletbc(np.zeros(2), boundary_dofs(space, 0, 0.0), space)
    right = fem.dirichletbc(displacement, boundary_dofs(space, 0, length), space)
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx
    problem = MacroProblem(form, u, law, bcs=[left, right], petsc_options=dict(options or {}))
    return Specimen(problem, law, displacement, left, right)


def uniaxial_strain(mesh: dmesh.Mesh, micro: MicroModel, length: float = 2.0) -> Specimen:
    """A strip that is stretched and nowhere contracts: the strain is uniform and has one component."""
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=2)
    displacement = fem.Constant(mesh, 0.0)
    across = no_transverse_displacement(space)
    left = fem.dirichletbc(0.0, boundary_dofs(space, 0, 0.0, 0), space.sub(0))
    right = fem.dirichletbc(displacement, boundary_dofs(space, 0, length, 0), space.sub(0))
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx
    return Specimen(MacroProblem(form, u, law, bcs=[across, left, right]), law, displacement, left, right)


def half_homogenized(mesh: dmesh.Mesh, micro: MicroModel) -> tuple[MacroProblem, Callable[[], float]]:
    """A strip of length 2 in uniaxial strain, the micro model where x < 1/2, the modulus 100e3 elsewhere.

    It is stretched by 0.01; the function returns the force.
    """
    count = mesh.topology.index_map(2).size_local + mesh.topology.index_map(2).num_ghosts
    cells = np.arange(count, dtype=np.int32)
    tags = dmesh.meshtags(
        mesh, 2, cells, (1 + (dmesh.compute_midpoints(mesh, 2, cells)[:, 0] > 0.5)).astype(np.int32)
    )
    space = fem.functionspace(mesh, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=2, subdomains=tags, subdomain=1)
    left = fem.dirichletbc(0.0, boundary_dofs(space, 0, 0.0, 0), space.sub(0))
    right = fem.dirichletbc(0.01, boundary_dofs(space, 0, 2.0, 0), space.sub(0))
    rest = ufl.Measure("dx", domain=mesh, subdomain_data=tags)(2)
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx
    form += 100e3 * ufl.dot(mandel_strain(u), mandel_strain(v)) * rest
    problem = MacroProblem(form, u, law, bcs=[no_transverse_displacement(space), left, right])
    return problem, lambda: float(problem.reaction(right)[0])


def no_transverse_displacement(space: fem.FunctionSpace) -> fem.DirichletBC:
    component, _ = space.sub(1).collapse()
    everywhere = fem.locate_dofs_geometrical((space.sub(1), component), lambda x: np.full(x.shape[1], True))
    return fem.dirichletbc(fem.Function(component), everywhere, space.sub(1))


def nodal_values(u: fem.Function) -> Array:
    """All nodal values on every rank, ordered by the nodes' coordinates; collective."""
    mesh, block = u.function_space.mesh, u.function_space.dofmap.index_map_bs
    owned = u.function_space.dofmap.index_map.size_local
    x = u.function_space.tabulate_dof_coordinates()[:owned, :2]
    rows = np.hstack([x.round(9), u.x.array[: owned * block].reshape(-1, block)])
    table = np.vstack(mesh.comm.allgather(rows))
    return table[np.lexsort((table[:, 1], table[:, 0])), 2:]
