"""Errors and ranks: no rank leaves a collective early, and none waits for one that has died."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from mpi4py import MPI

from fe2.errors import Fe2Error

_FORWARDING = 1.0
"""Seconds that `mpiexec` may take to hand a message on: what it has not read when a rank aborts is lost."""


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


def end_all_ranks_on_error() -> None:
    """Let an uncaught exception on one rank end the whole parallel run.

    An error that every rank raises is printed once, and the ranks end by themselves. Any other
    exception is printed with its rank and aborts the communicator: the ranks that do not know
    of it would wait for ever.
    """

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        world = MPI.COMM_WORLD
        if isinstance(error, Fe2Error) and error.collective:
            if world.rank == 0:
                traceback.print_exception(kind, error, trace)
            return
        lines = "".join(traceback.format_exception(kind, error, trace))
        sys.stderr.write(f"fe2: rank {world.rank} of {world.size} ends the run:\n{lines}")
        sys.stderr.flush()
        time.sleep(_FORWARDING)
        world.Abort(1)

    if MPI.COMM_WORLD.size > 1 and sys.excepthook is sys.__excepthook__:
        sys.excepthook = report


def threads() -> int:
    """Threads that this process may use: OMP_NUM_THREADS, or all its cores where it is the only rank."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if MPI.COMM_WORLD.size == 1 else 1
