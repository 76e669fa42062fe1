"""Errors and ranks: what goes wrong on one rank is raised on all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mpi4py import MPI

from fe2.errors import Fe2Error


def raise_together(comm: MPI.Comm, error: Exception | None) -> None:
    """Raise on all ranks the error of the lowest rank that has one; collective.

    Args:
        comm: Communicator whose ranks agree.
        error: What was caught on this rank, or None.

    Raises:
        Exception: On the failing rank the error itself; on the others an error of the same class
            and message (of class :class:`Fe2Error` where it is not one of fe2's own).
    """
    failing = comm.allreduce(comm.size if error is None else comm.rank, op=MPI.MIN)
    if failing == comm.size:
        return
    if error is not None and comm.size == 1:
        raise error
    kind = type(error) if isinstance(error, Fe2Error) else Fe2Error
    kind, message = comm.bcast((kind, describe(error)), root=failing)
    if comm.rank == failing and isinstance(error, Fe2Error):
        error.collective = True
        raise error
    together = kind(message)
    together.collective = True
    raise together from error


@contextmanager
def together(comm: MPI.Comm) -> Iterator[None]:
    """What goes wrong inside on one rank is raised on all of them; nothing inside may be collective."""
    failure = None
    try:
        yield
    except Exception as error:  # the other ranks wait in the same place
        failure = error
    raise_together(comm, failure)


def on_every_rank[T](comm: MPI.Comm, function: Callable[[], T]) -> T:
    """What a function without collective calls returns on this rank; its error anywhere is raised on all."""
    with together(comm):
        return function()


def on_root[T](comm: MPI.Comm, function: Callable[[], T]) -> T | None:
    """What a function returns on rank 0, None on the others; its error is raised on all; collective."""
    with together(comm):
        return function() if comm.rank == 0 else None


def describe(error: Exception | None) -> str:
    """Message of an error, led by its class where that is not one of fe2's own."""
    return str(error) if isinstance(error, Fe2Error) else f"{type(error).__name__}: {error}"


def threads() -> int:
    """Threads that this process may use: OMP_NUM_THREADS, or all its cores where it is the only rank."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if MPI.COMM_WORLD.size == 1 else 1
