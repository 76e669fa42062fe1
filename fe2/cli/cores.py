"""Do the ranks of a run fit what was asked for, and the cores of their machines?"""

from __future__ import annotations

import os
from pathlib import Path

import click
from mpi4py import MPI

from fe2.errors import InputError

_TOPOLOGY = Path("/sys/devices/system/cpu")


def check_ranks(comm: MPI.Comm, wanted: int | None, quiet: bool) -> None:
    """Refuse another number of ranks than the wanted one; hint at more ranks than cores; collective.

    Args:
        comm: Communicator of all ranks.
        wanted: Number of ranks, any where None.
        quiet: Give no hint.

    Raises:
        InputError: On all ranks that know of each other: they are not as many as wanted.
    """
    if wanted is not None and comm.size != wanted:
        error = InputError(
            f"--ranks {wanted}: the run has {comm.size}. With MPICH under Slurm the launcher is "
            "srun --mpi=pmi2; mpirun has to be that of fe2's own installation (fe2 info names the MPI)"
        )
        error.collective = True
        raise error
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    ranks, cores = node.size, physical_cores()
    node.Free()
    crowded = comm.allreduce(int(ranks > cores), op=MPI.MAX)
    if crowded and comm.rank == 0 and not quiet:
        click.echo(f"fe2: hint: {ranks} ranks on {cores} cores of a machine wait for each other", err=True)


def physical_cores(topology: Path = _TOPOLOGY) -> int:
    """Cores of this machine; threads that share a core count once, where the system tells."""
    cores = {
        (package.read_text(), package.with_name("core_id").read_text())
        for package in topology.glob("cpu[0-9]*/topology/physical_package_id")
    }
    return len(cores) or os.cpu_count() or 1
