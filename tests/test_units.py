"""A change of units changes nothing but the numbers: the same solution, the same counts of iterations.

Each problem is solved in its own units and with lengths and stresses measured in others: Pa, MPa and GPa with
m and mm. All of it is two-scale: cells at quadrature points, load steps, cutting where a step fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ufl
from cells import box_mesh
from dolfinx import fem
from fe2_meshes.square_array import square_array

import fe2

Array = Any

UNITS = {"Pa, m": (1e6, 1e-3), "GPa, mm": (1e-3, 1.0), "Pa, µm": (1e6, 1e3)}
"""How many of these units of stress and of length an MPa and a mm are."""


@dataclass(frozen=True)
class Course:
    """What a run did, step by step: fluxes, gradients and counts."""

    fluxes: Array
    gradients: Array
    unknown: Array
    iterations: list[int]
    solves: int


def course(
    micro: fe2.MicroModel,
    gradient: Callable[[Any], Any],
    shape: tuple[int, ...],
    length: float,
    size: float,
    times: list[float],
) -> Course:
    """A block of four triangles, held at the left and driven up to `size`, and back, at the right."""
    mesh = box_mesh("triangle", [2, 1])
    mesh.geometry.x[:] *= 3.0 * length
    space = fem.functionspace(mesh, ("Lagrange", 2, shape) if shape else ("Lagrange", 2))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = fe2.HomogenizedLaw(gradient(u), micro, quadrature_degree=2)
    ends = [
        fem.locate_dofs_geometrical(space, lambda x, end=end: np.abs(x[0] - end) < 1e-9 * length)
        for end in (0.0, 3.0 * length)
    ]
    zero = np.zeros(shape) if shape else 0.0
    drive = fem.Constant(mesh, zero)
    bcs = [fem.dirichletbc(fem.Constant(mesh, zero), ends[0], space), fem.dirichletbc(drive, ends[1], space)]
    problem = fe2.MacroProblem(ufl.dot(law.flux, gradient(v)) * law.dx, u, law, bcs=bcs)

    def apply(time: float) -> None:
        value = size * min(time, 2.0 - time)  # unloading begins at 1
        drive.value = np.array([value, 0.4 * value]) if shape else value

    fluxes, gradients = [], []

    def after(_: float) -> None:
        fluxes.append(law.flux.x.array.copy())
        gradients.append(law.gradients().copy())

    simulation = fe2.Simulation(problem, fe2.LoadSteps(times, apply), observers=[after], quiet=True)
    summary = simulation.run()
    iterations = [record.iterations for record in simulation.records]
    return Course(np.array(fluxes), np.array(gradients), u.x.array.copy(), iterations, summary.micro_solves)


def plastic(stress: float, length: float, folder: Path) -> Course:
    cell = fe2.read_cell(square_array(folder / "cell.msh", fraction=0.3, size=0.3 * length, length=length))
    laws = {
        "matrix": fe2.J2Plasticity(
            young=45e3 * stress, poisson=0.3, yield_stress=150.0 * stress, hardening=450.0 * stress
        ),
        "fibre": fe2.LinearElastic.isotropic(young=450e3 * stress, poisson=0.2),
    }
    return course(
        fe2.small_strain(cell, laws), fe2.strain, (2,), length, 0.02 * length, [0.0, 0.1, 0.5, 1.0, 1.4]
    )


def hyperelastic(stress: float, length: float, folder: Path) -> Course:
    cell = fe2.read_cell(square_array(folder / "cell.msh", fraction=0.3, size=0.3 * length, length=length))
    laws = {
        "matrix": fe2.NeoHookean(young=1.0 * stress, poisson=0.3),
        "fibre": fe2.NeoHookean(young=10.0 * stress, poisson=0.3),
    }
    rve = fe2.finite_strain(cell, laws)
    return course(rve, fe2.displacement_gradient, (2,), length, 0.6 * length, [0.0, 0.5, 1.0])


def conducting(stress: float, length: float, folder: Path) -> Course:
    """The unit of power is that of stress here, that of temperature stays."""
    cell = fe2.read_cell(square_array(folder / "cell.msh", fraction=0.3, size=0.3 * length, length=length))
    laws = {"matrix": fe2.LinearConduction(2.0 * stress), "fibre": fe2.LinearConduction(40.0 * stress)}
    return course(fe2.diffusion(cell, laws), ufl.grad, (), length, 100.0, [0.0, 0.5, 1.0])


PROBLEMS = {"plastic": plastic, "hyperelastic": hyperelastic, "conducting": conducting}


@pytest.fixture(scope="module", params=PROBLEMS)
def problem(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Course]:
    """A problem, and its course in its own units."""
    return request.param, PROBLEMS[request.param](1.0, 1.0, tmp_path_factory.mktemp("own"))


@pytest.mark.parametrize("units", UNITS)
def test_runs_repeat_in_other_units(units: str, problem: tuple[str, Course], tmp_path: Path) -> None:
    (name, own), (stress, length) = problem, UNITS[units]
    other = PROBLEMS[name](stress, length, tmp_path)
    assert other.iterations == own.iterations
    assert other.solves == own.solves
    gradient, unknown = (length, 1.0) if name == "conducting" else (1.0, 1.0 / length)
    flux = stress / length if name == "conducting" else stress
    for found, right, factor in (
        (other.fluxes, own.fluxes, 1.0 / flux),
        (other.gradients, own.gradients, gradient),
        (other.unknown, own.unknown, unknown),
    ):
        np.testing.assert_allclose(found * factor, right, rtol=0.0, atol=1e-9 * np.abs(right).max())
