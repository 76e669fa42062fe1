"""Being asked to stop: Slurm's warning before the time limit, or a `kill`, ends a run in good order."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

from mpi4py import MPI

from fe2.errors import SIGNALS, RunInterruptedError

_AGAIN = 1.0
"""Seconds after which another Ctrl-C is a second one: a terminal and mpiexec both hand on the first."""


class Interruption:
    """Notices SIGINT, SIGTERM and SIGUSR1 while it is entered.

    The signal may reach one rank or all: `check` lets all of them know. Ctrl-C a second time ends at once.
    """

    def __init__(self, comm: MPI.Comm) -> None:
        """Notice nothing yet."""
        self._comm = comm
        self._noticed, self._at = 0, 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """From now on signals are noticed, where this is the main thread."""
        try:
            self._before = {number: signal.signal(number, self._notice) for number in SIGNALS}
        except ValueError:  # not the main thread, which alone may handle signals
            self._before = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise on all ranks where any has noticed a signal; collective.

        Raises:
            RunInterruptedError: On all ranks.
        """
        noticed = self._comm.allreduce(self._noticed, op=MPI.MAX)
        if noticed:
            error = RunInterruptedError(f"stopped by {signal.Signals(noticed).name}")
            error.collective = True
            raise error

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self._noticed and number == signal.SIGINT and time.monotonic() - self._at > _AGAIN:
            raise KeyboardInterrupt
        self._noticed, self._at = number, time.monotonic()
