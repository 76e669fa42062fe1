"""A load cycle of adaptive plastic cells with the default tolerances, resumed whenever it is started again.

adaptive_cycle.py FOLDER STEPS: takes the run in the folder, or a new one, up to so many steps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import two_scale  # isort: skip  # before dolfinx

from mpi4py import MPI

from fe2.io.checkpoint_schedule import Checkpoints
from fe2.io.results import Results
from fe2.micro.small_strain import small_strain
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, ramp

TIMES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
LOAD = ramp([(0.0, 0.0), (1.0, 0.012), (1.5, 0.012), (2.0, 0.002), (3.0, -0.012)])


def cycle(folder: Path, steps: int) -> None:
    """Take the run in a folder up to so many steps."""
    rve = small_strain(two_scale.fibre_cell(), {"matrix": two_scale.ALUMINIUM, "fibre": two_scale.STEEL})
    strip = two_scale.clamped(two_scale.distorted(MPI.COMM_WORLD, (2, 1), (2.0, 1.0)), rve)

    def apply(time: float) -> None:
        strip.displacement.value = LOAD(time), 0.5 * LOAD(time)

    simulation = Simulation(
        strip.problem,
        LoadSteps(TIMES[: steps + 1], apply),
        output=Results(folder, watch=[(0.1, 0.9)]),
        reactions={"grip": strip.right},
        checkpoint=Checkpoints(every=1),
        resume=True,
        quiet=True,
    )
    simulation.run()


if __name__ == "__main__":
    cycle(Path(sys.argv[1]), int(sys.argv[2]))
