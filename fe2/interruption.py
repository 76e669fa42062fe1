"""Being asked to stop: Slurm's warning before the time limit, or a `kill`, ends a run in good order."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from mpi4py import MPI

from fe2.errors import RunInterruptedError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Interruption:
    """Notices SIGTERM and SIGUSR1 while it is entered.

    The signal may reach one rank or all: `check` lets all of them know.
    """

    def __init__(self, comm: MPI.Comm) -> None:
        """Notice nothing yet."""
        self._comm = comm
        self._noticed = 0
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
        self._noticed = number
