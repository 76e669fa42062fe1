"""A strip that melts and freezes; rank 0 writes temperatures, heat and Newton counts to a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import heat
import two_scale
from mpi4py import MPI

from fe2.micro.diffusion import diffusion
from fe2.physics.conduction import LinearConduction
from fe2.physics.melting import MeltingConduction

WORLD = MPI.COMM_WORLD

if __name__ == "__main__":
    laws = {
        "matrix": LinearConduction(20.0, capacity=3.0),
        "fibre": MeltingConduction(0.4, 2.0, 30.0, -0.2, 0.3),
    }
    rve = diffusion(
        two_scale.fibre_cell(), laws, value=True, initial_value=-0.5, contact={("matrix", "fibre"): 0.01}
    )
    strip = heat.strip(two_scale.distorted(WORLD, (4, 2), (2.0, 1.0)), rve)
    strip.start(-0.5)
    steps = []
    for left, right in ((0.3, 0.0), (1.0, 0.1), (0.2, 0.9), (-0.8, -0.5)):
        iterations = strip.step(left, right, 0.4)
        temperatures = two_scale.nodal_values(strip.T).ravel().tolist()
        steps.append([iterations, strip.inflow(), strip.content(), *temperatures])
    if WORLD.rank == 0:
        Path(sys.argv[1]).write_text(json.dumps(steps))
