"""Signals outside of the load steps, where nothing has to be finished: the command leaves at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fe2.errors import SIGNALS

STOPPED = 75
"""Exit status of a run that a signal stopped and that can be resumed: EX_TEMPFAIL, try again later."""


@contextmanager
def leaving_on_signals() -> Iterator[None]:
    """While meshes, cells and pictures are made, a signal ends the program with :data:`STOPPED`.

    The load steps notice signals in their own way. Other ranks leave too, by the same signal or because this
    one does, see :mod:`fe2.leaving`.
    """
    before = {number: signal.signal(number, _leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # once is enough
    name = signal.Signals(number).name
    sys.stderr.write(f"fe2: stopped by {name} outside of the load steps: --resume goes on, or begins\n")
    sys.stderr.flush()
    raise SystemExit(STOPPED)
