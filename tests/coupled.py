"""A linear thermoelastic law of three blocks, in closed form, and problems with exact solutions."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import two_scale
import ufl
from dolfinx import fem
from mpi4py import MPI

from fe2.io.checkpoint_schedule import Checkpoints
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.linear_model import LinearModel
from fe2.physics.diffusion import diffusion_kinematics
from fe2.physics.kinematics import Kinematics, scalar_value
from fe2.physics.small_strain import mandel_strain, small_strain_kinematics
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps
from fe2.stiffness import isotropic_stiffness

YOUNG, POISSON = 70e3, 0.3  # MPa
EXPANSION, CAPACITY, CONDUCTIVITY, REFERENCE = 2e-5, 2.4, 200.0, 300.0  # 1/K, MPa/K, N/(s K), K
SOURCE = 4.8  # MPa/s


def kinematics() -> Kinematics:
    (strain,), (gradient,) = small_strain_kinematics(2).blocks, diffusion_kinematics(2).blocks
    blocks = strain, scalar_value("temperature", "entropy", "temperature"), gradient
    fields = {"displacement": (2,), gradient.field: ()}
    return Kinematics(name="thermoelasticity", dim=2, fields=fields, blocks=blocks)


def stiffness() -> np.ndarray:
    return isotropic_stiffness(YOUNG, POISSON, 4)[np.ix_([0, 1, 3], [0, 1, 3])]


def thermal_stress() -> np.ndarray:
    """Stress of a held body by one kelvin in plane strain, as a pressure."""
    return YOUNG / (1.0 - 2.0 * POISSON) * EXPANSION * np.array([1.0, 1.0, 0.0])


def micro() -> LinearModel:
    r"""Stress :math:`C\varepsilon - \beta T`, entropy :math:`\beta\cdot\varepsilon + c T/T_0`, flux k ∇T."""
    A = np.zeros((6, 6))
    A[:3, :3], A[:3, 3], A[3, :3] = stiffness(), -thermal_stress(), thermal_stress()
    A[3, 3] = CAPACITY / REFERENCE
    A[4:, 4:] = CONDUCTIVITY * np.eye(2)
    return LinearModel(kinematics(), A)


@dataclass
class Body:
    problem: MacroProblem
    law: HomogenizedLaw
    u: fem.Function
    T: fem.Function
    stretch: fem.Constant


def body(comm: MPI.Comm, **options: Any) -> Body:
    """A strip of 2 by 1 on rollers, insulated, heated by a source, and stretched along x."""
    mesh = two_scale.distorted(comm, (3, 2), (2.0, 1.0))
    V, W = fem.functionspace(mesh, ("Lagrange", 1, (2,))), fem.functionspace(mesh, ("Lagrange", 1))
    u, T = fem.Function(V, name="u"), fem.Function(W, name="T")
    v, q = ufl.TestFunction(V), ufl.TestFunction(W)
    gradient = diffusion_kinematics(2).blocks[0].name
    law = HomogenizedLaw({"temperature": T, "strain": mandel_strain(u), gradient: ufl.grad(T)}, micro())
    F_u = ufl.inner(law["stress"], mandel_strain(v)) * law.dx
    F_T = (REFERENCE * law.rate("entropy") * q + ufl.dot(law["flux"], ufl.grad(q)) - SOURCE * q) * law.dx
    stretch = fem.Constant(mesh, 0.0)
    bcs = [
        fem.dirichletbc(fem.Constant(mesh, 0.0), two_scale.boundary_dofs(V, 0, 0.0, 0), V.sub(0)),
        fem.dirichletbc(fem.Constant(mesh, 0.0), two_scale.boundary_dofs(V, 1, 0.0, 1), V.sub(1)),
        fem.dirichletbc(fem.Constant(mesh, 0.0), two_scale.boundary_dofs(V, 1, 1.0, 1), V.sub(1)),
        fem.dirichletbc(stretch, two_scale.boundary_dofs(V, 0, 2.0, 0), V.sub(0)),
    ]
    return Body(MacroProblem([F_u, F_T], [u, T], law, bcs=bcs, **options), law, u, T, stretch)


def temperature(strain: float, time: float) -> float:
    """Where no heat is exchanged, all of the source goes into the entropy, and expansion cools."""
    return (SOURCE * time - thermal_stress()[0] * strain * REFERENCE) / CAPACITY


STRETCH, PLAN = 0.004, (0.0, 0.5, 1.0, 1.5, 2.0)  # of the strip, in a unit of time


def run(comm: MPI.Comm, folder: Path, steps: int) -> tuple[Body, Simulation]:
    """Take the strip in a folder up to so many steps, from where it stands."""
    found = body(comm)
    plan = LoadSteps(PLAN[: steps + 1], lambda time: found.stretch.value.fill(STRETCH * time))
    simulation = Simulation(
        found.problem, plan, output=folder, checkpoint=Checkpoints(every=1), resume=True, quiet=True
    )
    simulation.run()
    return found, simulation


if __name__ == "__main__":
    found, simulation = run(MPI.COMM_WORLD, Path(sys.argv[1]), int(sys.argv[2]))
    expected = temperature(STRETCH * PLAN[int(sys.argv[2])] / 2.0, PLAN[int(sys.argv[2])])
    np.testing.assert_allclose(found.T.x.array, expected, rtol=1e-9)
    assert {record.iterations for record in simulation.records} == {1}
