"""A body that cools uniformly: the solution is known at every time, and for every time integration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import two_scale
import ufl
from dolfinx import fem
from mpi4py import MPI

from fe2.io.checkpoint_schedule import Checkpoints
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.macro.rate import Rate
from fe2.micro.linear_model import LinearModel
from fe2.physics.diffusion import value_and_gradient, value_diffusion_kinematics
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

CAPACITIES, EXCHANGE, START = (0.75, 0.5), 2.0, 3.0
"""What cells and what the body besides stores where it becomes warmer by one; heat lost; initial value."""

SPEED = EXCHANGE / sum(CAPACITIES)
PLAN = (0.0, 0.1, 0.3, 0.4, 0.6, 0.7)
"""Steps that grow and shrink."""


def exact(time: float) -> float:
    return START * float(np.exp(-SPEED * time))


def content(value: float) -> float:
    """Heat in the body, whose area is 2."""
    return 2.0 * sum(CAPACITIES) * value


def integrated(times: Sequence[float], order: int) -> list[float]:
    """The values by backward differences: the polynomial through the last ones has the slope of the body."""
    found = [START]
    for number in range(1, len(times)):
        count = min(order, number)
        nodes = np.array(times[number - count : number + 1])
        x = nodes - nodes[-1]
        slopes = [np.polyfit(x, unit, count)[-2] for unit in np.eye(count + 1)]
        found.append(float(-np.dot(slopes[:-1], found[-count:]) / (slopes[-1] + SPEED)))
    return found


@dataclass
class Body:
    problem: MacroProblem
    law: HomogenizedLaw
    T: fem.Function
    ambient: fem.Constant


def body(comm: MPI.Comm, scheme: str) -> Body:
    mesh = two_scale.distorted(comm, (3, 2), (2.0, 1.0))
    space = fem.functionspace(mesh, ("Lagrange", 1))
    T, q = fem.Function(space, name="T"), ufl.TestFunction(space)
    kinematics = value_diffusion_kinematics(2)
    value, gradient = kinematics.blocks
    law = HomogenizedLaw(value_and_gradient(T), LinearModel(kinematics, np.diag([CAPACITIES[0], 5.0, 5.0])))
    rate = Rate(T)
    stored = law.rate(value.dual) + CAPACITIES[1] * rate(T)
    ambient = fem.Constant(mesh, 0.0)
    F = ((stored + EXCHANGE * (T - ambient)) * q + ufl.dot(law[gradient.dual], ufl.grad(q))) * law.dx
    problem = MacroProblem(F, T, law, rate=rate, scheme=scheme)
    T.x.array[:] = START
    problem.initialize()
    return Body(problem, law, T, ambient)


def run(comm: MPI.Comm, scheme: str, folder: Path, steps: int, tolerance: float | None = None) -> Simulation:
    """Let it cool for so many planned steps in all, from where a folder has it."""
    plan = LoadSteps(PLAN[: steps + 1], lambda time: None, tolerance=tolerance)
    checkpoints, problem = Checkpoints(every=1), body(comm, scheme).problem
    simulation = Simulation(problem, plan, output=folder, checkpoint=checkpoints, resume=True, quiet=True)
    simulation.run()
    return simulation


if __name__ == "__main__":
    steps, tolerance = int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else None
    simulation = run(MPI.COMM_WORLD, "bdf2", Path(sys.argv[1]), steps, tolerance)
    times = [PLAN[0], *(record.time for record in simulation.records)]
    found, value = simulation.problem.functions[0].x.array, integrated(times, 2)[-1]
    np.testing.assert_allclose(found, value, rtol=1e-10)
    stored = simulation.records[-1].balances["T_stored"]
    np.testing.assert_allclose(stored, content(value) - content(START), rtol=1e-9)
