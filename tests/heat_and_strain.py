"""A strip with displacement and temperature in one mixed unknown, in a chosen system of units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import basix.ufl
import numpy as np
import two_scale
import ufl
from dolfinx import fem
from mpi4py import MPI

from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.diffusion import diffusion
from fe2.micro.rve import RVE
from fe2.micro.small_strain import small_strain
from fe2.physics.conduction import LinearConduction, NonlinearConduction
from fe2.physics.diffusion import value_and_gradient
from fe2.physics.elasticity import LinearElastic
from fe2.physics.small_strain import mandel_strain

HOT = 100.0


@cache
def conductor() -> RVE:
    """Conductivities 1 + T/100 and 20 times that."""
    laws = {
        "matrix": NonlinearConduction(lambda T: 1.0 + 0.01 * T),
        "fibre": NonlinearConduction(lambda T: 20.0 * (1.0 + 0.01 * T)),
    }
    return diffusion(two_scale.fibre_cell(), laws, value=True)


def exact_heat_flow() -> float:
    """Through a strip of length 2 and height 1 between 0 and 100, by Kirchhoff's transform of 1 + T/100."""
    cold = diffusion(
        two_scale.fibre_cell(), {"matrix": LinearConduction(1.0), "fibre": LinearConduction(20.0)}
    )
    return float(cold.homogenize().effective[0, 0]) * (HOT + 0.005 * HOT**2) / 2.0


@dataclass
class Strip:
    problem: MacroProblem
    forms: list[ufl.Form]
    cold: fem.DirichletBC
    hot: fem.DirichletBC
    clamp: fem.DirichletBC
    grip: fem.DirichletBC


def strip(comm: MPI.Comm, pascal: float, *, separate: bool = False) -> Strip:
    """Displaced by 0.02 at its hot end; `pascal` is one pascal in the unit of stress.

    Displacement and temperature are one mixed unknown, or two `separate` ones.
    """
    laws = {
        "matrix": LinearElastic.isotropic(70e9 * pascal, 0.3),
        "fibre": LinearElastic.isotropic(400e9 * pascal, 0.2),
    }
    solid = small_strain(two_scale.fibre_cell(), laws)
    mesh = two_scale.rectangle(comm)
    cell = mesh.basix_cell()
    parts = [basix.ufl.element("Lagrange", cell, 1, shape=(2,)), basix.ufl.element("Lagrange", cell, 1)]
    if separate:
        spaces = [fem.functionspace(mesh, part) for part in parts]
        places = [(space, space) for space in spaces]
        unknown = fields = [fem.Function(space, name=name) for space, name in zip(spaces, "uT", strict=True)]
        tests = [ufl.TestFunction(space) for space in spaces]
    else:
        space = fem.functionspace(mesh, basix.ufl.mixed_element(parts))
        places = [(space.sub(part), space.sub(part).collapse()[0]) for part in (0, 1)]
        unknown = fem.Function(space, name="U")
        fields, tests = ufl.split(unknown), ufl.TestFunctions(space)
    (u, T), (v, q) = fields, tests
    stress = HomogenizedLaw(mandel_strain(u), solid, quadrature_degree=2)
    heat = HomogenizedLaw(value_and_gradient(T), conductor(), quadrature_degree=2)
    forms = [
        ufl.dot(stress.flux, mandel_strain(v)) * stress.dx,
        ufl.dot(heat.flux, value_and_gradient(q)) * heat.dx,
    ]

    def held(part: int, end: float, value: float) -> fem.DirichletBC:
        space, own = places[part]
        prescribed = fem.Function(own)
        prescribed.x.array[:: own.dofmap.bs] = value
        if separate:
            return fem.dirichletbc(prescribed, two_scale.boundary_dofs(own, 0, end))
        return fem.dirichletbc(prescribed, two_scale.boundary_dofs_of((space, own), 0, end), space)

    conditions = held(1, 0.0, 0.0), held(1, 2.0, HOT), held(0, 0.0, 0.0), held(0, 2.0, 0.02)
    problem = MacroProblem(forms if separate else sum(forms), unknown, [stress, heat], bcs=conditions)
    return Strip(problem, forms, *conditions)


def solved(comm: MPI.Comm, pascal: float, *, separate: bool = False) -> dict[str, object]:
    """Newton iterations, and what the supports exert, in newtons."""
    found = strip(comm, pascal, separate=separate)
    iterations = found.problem.solve()
    return {
        "iterations": iterations,
        "force": (found.problem.reaction(found.grip) / pascal).tolist(),
        "flow": found.problem.reaction(found.hot).tolist(),
        "norms": np.array(found.problem.norms).tolist(),
    }
