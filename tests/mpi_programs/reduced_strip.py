"""A strip of reduced cells with a budget of full solves; rank 0 writes what happened to a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import two_scale
from mpi4py import MPI

from fe2.hierarchical.budget import FullSolves
from fe2.hierarchical.error_control import error_controlled
from fe2.hierarchical.storage import load
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

WORLD = MPI.COMM_WORLD

if __name__ == "__main__":
    micro = error_controlled(load(sys.argv[2], two_scale.plastic_rve()))
    strip = two_scale.clamped(two_scale.distorted(WORLD, (3, 1), (2.0, 1.0)), micro, {"snes_rtol": 1e-10})

    def apply(time: float) -> None:
        strip.displacement.value = (0.012 * time, 0.002 * time)

    run = Simulation(
        strip.problem,
        LoadSteps(np.linspace(0.0, 1.0, 4), apply),
        reactions={"grip": strip.right},
        observers=[FullSolves(strip.law, micro, 2, WORLD)],
        quiet=True,
    )
    counts = run.run().models
    strains = WORLD.allgather(micro.averages(strip.law.pool.states)["equivalent_plastic_strain"][:, 0])
    results = {
        "reactions": [record.reactions["grip"].tolist() for record in run.records],
        "plastic strain": np.sort(np.concatenate(strains)).tolist(),
        "counts": counts,
    }
    if WORLD.rank == 0:
        Path(sys.argv[1]).write_text(json.dumps(results))
