"""Displacement and temperature in one unknown, or in two; rank 0 writes what was found to a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import heat_and_strain
from mpi4py import MPI

if __name__ == "__main__":
    found = heat_and_strain.solved(MPI.COMM_WORLD, 1.0, separate="separate" in sys.argv)
    if MPI.COMM_WORLD.rank == 0:
        Path(sys.argv[1]).write_text(json.dumps(found))
