"""One rank of several leaves, in the way named on the command line, while the others wait for it."""

from __future__ import annotations

import os
import signal
import sys
import time

from mpi4py import MPI

import fe2  # noqa: F401
from fe2.leaving import end_all_ranks_on_error
from fe2.parallel import on_every_rank

WORLD = MPI.COMM_WORLD


def leave(how: str) -> None:
    print("the last words of this rank")
    if how in ("SIGINT", "SIGTERM", "SIGKILL"):
        os.kill(os.getpid(), getattr(signal, how))
        time.sleep(60.0)
    if how == "raise":
        raise SystemExit(3)
    sys.exit({"text": "there is no such table", "inside": 0, "together": 4}[how])


def main(how: str) -> None:
    end_all_ranks_on_error()
    mine = WORLD.rank == WORLD.size - 1
    if how == "caught" and mine:
        try:
            sys.exit(3)
        except SystemExit:
            return
    if how == "inside":
        on_every_rank(WORLD, lambda: leave(how) if mine else None)
    elif mine or how == "together":
        time.sleep(0.2 * WORLD.rank)
        leave(how)
    if how != "caught":
        WORLD.Barrier()


if __name__ == "__main__":
    main(*sys.argv[1:])
