"""Time to write and to read a checkpoint; JSON on standard output.

mpirun -n 2 python benchmarks/checkpoint_time.py --points 10000 --numbers 5000 [--folder FOLDER]

Points hold random states of that many numbers. Writing includes fsync; reading is done on the same ranks,
with whatever the operating system still has in memory. Medians, and the throughput of all ranks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fe2  # isort: skip  # before DOLFINx

import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

from fe2.io.checkpoint import CheckpointFolder
from fe2.physics.small_strain import small_strain_kinematics
from fe2.response import Response

COMM = MPI.COMM_WORLD


class Large(fe2.Pointwise):
    """A micro model whose state has a chosen size."""

    kinematics = small_strain_kinematics(2)

    def __init__(self, numbers: int) -> None:
        self.state = fe2.StateLayout(fe2.StateField("numbers", (numbers,)))

    def respond(self, gradient: Any, committed: Any, trial: Any, point: Any, step: Any) -> Response:
        return Response(gradient, np.eye(3))


def problem_of(points: int, numbers: int) -> fe2.MacroProblem:
    """A strip with four points in each of its cells, and random states."""
    domain = mesh.create_rectangle(
        COMM, [[0.0, 0.0], [1.0, 1.0]], [points // 40, 10], mesh.CellType.quadrilateral
    )
    space = fem.functionspace(domain, ("Lagrange", 1, (2,)))
    u, v = fem.Function(space), ufl.TestFunction(space)
    law = fe2.HomogenizedLaw(fe2.strain(u), Large(numbers), quadrature_degree=2)
    count = len(law.cells) * law.points_per_cell
    law.pool.restore(np.random.default_rng(COMM.rank).random((count, numbers)))
    return fe2.MacroProblem(ufl.dot(law.flux, fe2.strain(v)) * law.dx, u, law)


def seconds(action: Callable[[], object], repetitions: int) -> float:
    """Median of the wall time of the slowest rank."""
    found = []
    for _ in range(repetitions):
        COMM.Barrier()
        start = time.perf_counter()
        action()
        COMM.Barrier()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--numbers", type=int, default=5_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    problem = problem_of(options.points, options.numbers)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = CheckpointFolder(Path(COMM.bcast(scratch)), problem, {}, {})
        writing = seconds(lambda: folder.write({}), options.repetitions)
        reading = seconds(folder.read, options.repetitions)
        COMM.Barrier()
    size = 8 * problem.points * options.numbers
    if COMM.rank == 0:
        facts = {
            "ranks": COMM.size,
            "points": problem.points,
            "bytes": size,
            "seconds_to_write": writing,
            "seconds_to_read": reading,
            "bytes_per_second_written": size / writing,
            "bytes_per_second_read": size / reading,
        }
        print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
