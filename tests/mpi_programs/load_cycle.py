"""Strips under a load cycle with unloading, and their failures; rank 0 writes what happened to a file.

The second strip has two elements only, so that on three ranks one owns none; the third lives on the first
rank, and the others solve its micro models.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import two_scale
from mpi4py import MPI

from fe2.errors import MicroSolveError
from fe2.msh.partition import Partitioner, cells_on_first_ranks
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps, ramp

WORLD = MPI.COMM_WORLD
CYCLE = ((0.004, 0.001), (0.012, 0.004), (0.006, 0.0), (-0.008, 0.0))
TIGHT = {"snes_rtol": 1e-10}
PULL = ramp([(0.0, 0.0), (1.0, 0.012)])


def history(
    elements: tuple[int, int], micro: two_scale.MicroModel, partitioner: Partitioner | None = None
) -> dict[str, object]:
    """Every step of the cycle, with all nodal displacements."""
    mesh = two_scale.rectangle(WORLD, elements, partitioner=partitioner)
    strip = two_scale.clamped(mesh, micro, TIGHT)
    steps = []
    for displacement in CYCLE:
        iterations = strip.step(displacement)
        steps.append(
            {
                "iterations": iterations,
                "micro solves": strip.problem.take_counts().points,
                "left": strip.problem.reaction(strip.left).tolist(),
                "right": strip.problem.reaction(strip.right).tolist(),
                "displacement": two_scale.nodal_values(strip.unknown).tolist(),
            }
        )
    owned = mesh.topology.index_map(2).size_local
    return {
        "steps": steps,
        "cells of ranks": WORLD.allgather(owned),
        "points": strip.problem.points,
        "bytes": strip.problem.exchange().get("bytes_per_point_and_iteration"),
    }


def halved_steps() -> dict[str, object]:
    """A run in which one corner point refuses large increments, so that steps are halved."""
    micro = two_scale.Guarded(two_scale.plastic_rve(), largest_increment=0.004)
    strip = two_scale.clamped(two_scale.distorted(WORLD, (3, 2), (2.0, 1.0)), micro, TIGHT)

    def apply(time: float) -> None:
        strip.displacement.value = PULL(time), 0.5 * PULL(time)

    run = Simulation(strip.problem, LoadSteps((0.0, 1.0), apply), reactions={"grip": strip.right}, quiet=True)
    summary = run.run()
    return {
        "rejected": summary.rejected,
        "times": [record.time for record in run.records],
        "iterations": [record.iterations for record in run.records],
        "grip": [record.reactions["grip"].tolist() for record in run.records],
    }


def failure_at_one_point() -> list[str]:
    """What each rank is told where the most strained point alone fails."""
    mesh = two_scale.distorted(WORLD, (4, 2), (2.0, 1.0))
    strip = two_scale.clamped(mesh, two_scale.elastic_rve())
    strip.step((0.002, 0.001))
    strains = np.sort(np.concatenate(WORLD.allgather(strip.law.gradients()[:, 0])))
    limit = 0.5 * (strains[-1] + strains[-2])
    guarded = two_scale.clamped(mesh, two_scale.Guarded(two_scale.elastic_rve(), largest_strain=limit))
    guarded.displacement.value = (0.002, 0.001)
    try:
        guarded.problem.solve()
    except MicroSolveError as error:
        return WORLD.allgather(str(error))
    return []


if __name__ == "__main__":
    results = {
        "plastic": history((4, 2), two_scale.plastic_rve()),
        "two elements": history((2, 1), two_scale.plastic_rve()),
        "on first rank": history((4, 2), two_scale.plastic_rve(), cells_on_first_ranks(1)),
        "linear": history((4, 2), two_scale.elastic_rve()),
        "halved": halved_steps(),
        "failure": failure_at_one_point(),
    }
    if WORLD.rank == 0:
        Path(sys.argv[1]).write_text(json.dumps(results))
