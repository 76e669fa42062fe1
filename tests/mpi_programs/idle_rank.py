"""Norms of the macroscopic residual on every rank, one of which owns no degree of freedom.

idle_rank.py FILE: a list for each rank.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import two_scale
from mpi4py import MPI

WORLD = MPI.COMM_WORLD


def main(file: str) -> None:
    micro = two_scale.Maxwell(np.eye(3))
    strip = two_scale.clamped(two_scale.distorted(WORLD, (2, 1), (2.0, 1.0)), micro)
    strip.step((0.01, 0.005))
    index_map = strip.unknown.function_space.dofmap.index_map
    owned, norms = WORLD.gather(index_map.size_local), WORLD.gather(strip.problem.norms)
    if WORLD.rank == 0:
        Path(file).write_text(json.dumps({"owned": owned, "norms": norms}))


if __name__ == "__main__":
    main(sys.argv[1])
