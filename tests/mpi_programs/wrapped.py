"""A strip whose cells may fail and have a range, each solved by all ranks; rank 0 writes what was found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import two_scale  # isort: skip
import numpy as np
from mpi4py import MPI

from fe2.dispatch.options import Parallel
from fe2.hierarchical.hull import Hull
from fe2.hierarchical.ranged_model import USED, RangedModel
from fe2.micro.last_good import KeepsLastGood
from fe2.micro.newton import NewtonOptions
from fe2.micro.small_strain import small_strain

WORLD = MPI.COMM_WORLD
LAWS = {"matrix": two_scale.ALUMINIUM, "fibre": two_scale.STEEL}

if __name__ == "__main__":
    strategy = sys.argv[2]
    iterations = 3 if strategy == "newton" else 1
    options = NewtonOptions(tolerance=1e-10, max_iterations=iterations, parts=1, strategy=strategy)
    rve = small_strain(two_scale.fibre_cell(), LAWS, options=options)
    axes = 2e-3 * np.eye(3)
    ranged = RangedModel(rve, Hull(np.zeros(3), np.concatenate([axes, -axes])))
    parallel = Parallel(ranks_per_rve=WORLD.size)
    mesh = two_scale.rectangle(WORLD, (2, 1))
    strip = two_scale.clamped(mesh, KeepsLastGood(ranged), {"snes_rtol": 1e-9}, parallel=parallel)
    for displacement in (0.002, 0.004, 0.03, 0.0):
        strip.step((displacement, 0.0))
    used = WORLD.gather(strip.law.pool.averages()[USED])
    values = two_scale.nodal_values(strip.unknown)
    reports = strip.problem.reports()
    if WORLD.rank == 0:
        result = {"values": values.tolist(), "used": np.sort(np.concatenate(used)[:, 0]).tolist()}
        Path(sys.argv[1]).write_text(json.dumps(result | {"reports": reports}))
