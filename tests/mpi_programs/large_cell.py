"""An elastic sphere in a cell of 33³ voxels: 107,808 unknowns; rank 0 writes what was found to a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import fe2  # isort: skip
import numpy as np
from mpi4py import MPI

WORLD = MPI.COMM_WORLD
COUNT = 33

if __name__ == "__main__":
    centres = (np.arange(COUNT) + 0.5) / COUNT - 0.5
    radius = np.linalg.norm(np.meshgrid(centres, centres, centres), axis=0)
    cell = fe2.image_cell((radius < 0.3).astype(int), {"matrix": 0, "sphere": 1}, voxel_size=1.0 / COUNT)
    laws = {
        "matrix": fe2.LinearElastic.isotropic(70e3, 0.2),
        "sphere": fe2.LinearElastic.isotropic(210e3, 0.3),
    }
    whole = fe2.small_strain(cell, laws)
    expected = WORLD.bcast(whole.homogenize().tangent if WORLD.rank == 0 else None)
    part = whole.distributed(WORLD)
    found = part.homogenize()
    solver = part._newton.linear_solver
    rows = WORLD.gather(solver.matrix.getLocalSize()[0])
    elements = WORLD.gather(int(part._share._mine.sum()))
    if WORLD.rank == 0:
        difference = np.abs(found.tangent - expected).max() / np.abs(expected).max()
        result = {
            "unknowns": part.unknowns,
            "solver": part.solver.name,
            "difference": float(difference),
            "rows": rows,
            "elements": elements,
            "iterations": solver.iterations,
        }
        Path(sys.argv[1]).write_text(json.dumps(result))
