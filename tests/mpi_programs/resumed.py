"""A load cycle that is stopped or killed on the way, and resumed on any number of ranks.

resumed.py FOLDER REPORT whole|resume [stop|kill|signal|cut STEP]

stop: the rest of the plan is left for later. kill: in the evaluation after that step the last rank kills
itself with SIGKILL. signal: there it gets SIGUSR1. cut: the run is killed while it writes the checkpoint
after that step, all of whose parts are there but not its index.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import basix.ufl
import numpy as np
import two_scale
import ufl
from dolfinx import fem
from mpi4py import MPI

from fe2.errors import RunInterruptedError
from fe2.io import checkpoint as checkpoint_module
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.results import Results
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.physics.small_strain import mandel_strain
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, ramp

WORLD = MPI.COMM_WORLD
LAST = WORLD.rank == WORLD.size - 1
TIMES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
LOAD = ramp([(0.0, 0.0), (1.0, 0.012), (1.5, 0.012), (2.0, 0.009), (3.0, -0.006)])


class Faulty(two_scale.Guarded):
    """Does something else than to answer, once it is armed."""

    armed: str = ""

    def respond(self, gradient: Any, committed: Any, trial: Any, point: Any, step: Any) -> Any:
        if self.armed == "kill" and LAST:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.armed == "signal" and LAST:
            os.kill(os.getpid(), signal.SIGUSR1)
            self.armed = ""
        return super().respond(gradient, committed, trial, point, step)


def cut_short(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, report: str, how: str, fault: str = "", step: str = "0") -> None:
    mesh = two_scale.distorted(WORLD, (2, 1), (2.0, 1.0))
    cell = mesh.basix_cell()
    # a mixed unknown: displacements, and a scalar that follows their divergence
    element = basix.ufl.mixed_element(
        [basix.ufl.element("Lagrange", cell, 2, shape=(2,)), basix.ufl.element("DG", cell, 0)]
    )
    space = fem.functionspace(mesh, element)
    unknown, test = fem.Function(space, name="u"), ufl.TestFunction(space)
    (u, p), (v, q) = ufl.split(unknown), ufl.split(test)
    memory = fem.Function(fem.functionspace(mesh, ("Lagrange", 3, (2,))), name="memory")
    count = fem.Constant(mesh, 0.0)
    micro = Faulty(two_scale.plastic_rve(), longest_step=0.6)
    law = HomogenizedLaw(mandel_strain(u), micro, quadrature_degree=2)
    form = ufl.dot(law.flux, mandel_strain(v)) * law.dx + (p - ufl.div(u)) * q * law.dx
    # the form remembers the displacement of the last step, and how many there were
    form += 500.0 * (1.0 + count) * ufl.dot(u - memory, v) * ufl.dx
    pull = fem.Function(space.sub(0).collapse()[0])
    sides = [two_scale.boundary_dofs_of((space.sub(0), pull.function_space), 0, x) for x in (0.0, 2.0)]
    zero = fem.Function(pull.function_space)
    left, right = fem.dirichletbc(zero, sides[0], space.sub(0)), fem.dirichletbc(pull, sides[1], space.sub(0))
    problem = MacroProblem(form, unknown, law, bcs=[left, right], petsc_options={"snes_rtol": 1e-10})

    def apply(time: float) -> None:
        pull.interpolate(lambda x: np.vstack([np.full_like(x[0], LOAD(time)), 0.5 * LOAD(time) + 0 * x[0]]))

    def after(time: float) -> None:
        memory.interpolate(fem.Expression(u, memory.function_space.element.interpolation_points))
        count.value += 1.0
        if time >= TIMES[int(step)] and fault in ("kill", "signal"):
            micro.armed = fault
        if time >= TIMES[int(step)] and fault == "cut":
            checkpoint_module.CheckpointFolder._write_index = cut_short

    times = TIMES[: int(step) + 1] if fault == "stop" else TIMES
    simulation = Simulation(
        problem,
        LoadSteps(times, apply),
        output=Results(folder, watch=[(0.1, 0.9)]),
        observers=[after],
        loads={
            "internal": lambda: float(
                WORLD.allreduce(np.abs(law.flux.x.array[: 3 * 4 * len(law.cells)]).sum())
            )
        },
        checkpoint=Checkpoints(every=1, remember={"memory": memory, "count": count}),
        resume=how == "resume",
        quiet=True,
    )
    stopped = ""
    try:
        simulation.run()
    except RunInterruptedError as error:
        stopped = str(error)
    states = WORLD.gather(
        [
            (int(mesh.topology.original_cell_index[c]), rows.tolist())
            for c, rows in zip(
                law.cells, law.pool.states.reshape(len(law.cells), 4, micro.state_size), strict=True
            )
        ]
    )
    if WORLD.rank == 0:
        records = [[r.step, r.time, r.iterations, float(r.loads["internal"])] for r in simulation.records]
        ordered = [rows for _, rows in sorted(pair for part in states for pair in part)]
        Path(report).write_text(json.dumps({"records": records, "states": ordered, "stopped": stopped}))


if __name__ == "__main__":
    main(*sys.argv[1:])
