"""A run that ends before its time, in the way named on the command line; results go to a folder.

step      the micro models of one corner fail at the smallest step
exception what follows a step has an ordinary error, on the last rank alone
callback  a micro pool has an ordinary error within the macroscopic solver, on the last rank alone
"""

from __future__ import annotations

import sys

import two_scale
from mpi4py import MPI

from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

LAST = MPI.COMM_WORLD.rank == MPI.COMM_WORLD.size - 1


def main(ending: str, folder: str) -> None:
    limit = 0.004 if ending == "step" else 1.0
    micro = two_scale.Guarded(two_scale.elastic_rve(), largest_strain=limit)
    strip = two_scale.clamped(two_scale.distorted(MPI.COMM_WORLD, (3, 2), (2.0, 1.0)), micro)

    def apply(time: float) -> None:
        strip.displacement.value = (0.01 * time, 0.0)

    def after(time: float) -> None:
        if LAST and time > 0.2 and ending == "exception":
            raise KeyError("a table without this entry")
        if LAST and time > 0.2 and ending == "callback":
            strip.law.pool.evaluate = lambda *given: 1 // 0

    steps = LoadSteps((0.0, 0.25, 1.0), apply, smallest=0.125)
    Simulation(
        strip.problem, steps, output=folder, reactions={"grip": strip.right}, observers=[after], quiet=True
    ).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
