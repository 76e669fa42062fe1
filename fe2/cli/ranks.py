"""Which rank speaks, found out without MPI where nothing else needs it."""

from __future__ import annotations

import os
import sys

_RANK = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MPI_RANK", "SLURM_PROCID")


def first_rank() -> bool:
    """True on the rank that prints."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized():
        return bool(mpi.COMM_WORLD.rank == 0)
    return next((os.environ[name] for name in _RANK if name in os.environ), "0") == "0"


def single_rank() -> bool:
    """True where no other rank could wait for this one."""
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi is None or not mpi.Is_initialized() or bool(mpi.COMM_WORLD.size == 1)
