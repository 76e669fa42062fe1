"""12,000 points on one rank; the growth of the resident memory goes to a file, with the size of the rows."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import numpy as np
import two_scale
from mpi4py import MPI

from fe2.dispatch.pool import Pool
from fe2.micro.points import Step
from fe2.micro.state import StateField, StateLayout
from fe2.response import Response

POINTS = 12_000


class Remembering(two_scale.Maxwell):
    """A closed formula whose state is as long as that of a small cell with history."""

    state = StateLayout(StateField("numbers", (4000,)))

    def respond(self, gradient, committed, trial, point, step) -> Response:
        trial[:] = committed + 1.0
        return Response(self.stiffness @ gradient, self.stiffness, 1)


def resident() -> int:
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


if __name__ == "__main__":
    start = resident()
    pool = Pool(Remembering(np.eye(3)), POINTS, MPI.COMM_WORLD)
    gradients = np.ones((POINTS, 3))
    virgin = resident() - start
    for _ in range(3):
        pool.evaluate(gradients, Step(1.0))
        pool.commit()
    assert np.all(pool.states == 3.0)
    rows = 2 * 8 * POINTS * 4000
    result = {"points": POINTS, "rows": rows, "growth": resident() - start, "virgin": virgin}
    Path(sys.argv[1]).write_text(json.dumps(result))
