"""A rank that leaves before the others ends them too: they would wait for it for ever.

A rank leaves by an exception that nothing catches, or by ``sys.exit``. Python hands the first to
``sys.excepthook``; the second is noticed where it leaves the outermost frame of the program. A rank that is
killed is noticed by ``mpiexec``.
"""

from __future__ import annotations

import atexit
import sys
import time
import traceback
from types import CodeType, TracebackType

from mpi4py import MPI

from fe2.errors import Fe2Error

_FORWARDING = 1.0
"""Seconds that `mpiexec` may take to hand a message on: what it has not read when a rank aborts is lost."""

_TOGETHER = 5.0
"""Seconds after which other ranks that have not left as well are taken to be at work."""

_TOOLS = (4, 3)
"""Numbers of tools of ``sys.monitoring`` that Python gives to nobody."""


def end_all_ranks_on_error() -> None:
    """Let a rank that leaves before its time end the whole parallel run; nothing on a single rank.

    An error that every rank raises is printed once, and the ranks end by themselves. Any other
    exception is printed with its rank and aborts the communicator. So does ``sys.exit`` with a status
    that is not 0, or out of the middle of fe2, unless all ranks leave so.
    """
    if MPI.COMM_WORLD.size > 1 and sys.excepthook is sys.__excepthook__:
        sys.excepthook = _report
        _watch_exits()


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, Fe2Error) and error.collective:
        if MPI.COMM_WORLD.rank == 0:
            traceback.print_exception(kind, error, trace)
        return
    lines = "".join(traceback.format_exception(kind, error, trace))
    _abort(f"ends the run:\n{lines}", 1)


def _watch_exits() -> None:
    monitoring = sys.monitoring
    tool = next((number for number in _TOOLS if monitoring.get_tool(number) is None), None)
    if tool is not None:
        monitoring.use_tool_id(tool, "fe2")
        monitoring.register_callback(tool, monitoring.events.PY_UNWIND, _unwound)
        monitoring.set_events(tool, monitoring.events.PY_UNWIND)


def _unwound(code: CodeType, offset: int, error: BaseException) -> None:
    """Python leaves a frame by an error: see whether it is the last one, and by ``sys.exit``."""
    if not isinstance(error, SystemExit) or sys._getframe(1).f_back is not None:
        return
    inside = _left_fe2(error.__traceback__)
    if error.code or inside:
        status = error.code if isinstance(error.code, int) else 1
        atexit.register(_leave, status & 0xFF or 1)


def _left_fe2(trace: TracebackType | None) -> bool:
    """True where the way out led through fe2, whose calls are collective; commands end with ``sys.exit``."""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        if name.startswith("fe2.") and not name.startswith("fe2.cli"):
            return True
        trace = trace.tb_next
    return False


def _leave(status: int) -> None:
    """Leave with the others where they leave too, and end them where they do not."""
    if MPI.Is_finalized():
        return
    barrier, end = MPI.COMM_WORLD.Ibarrier(), time.monotonic() + _TOGETHER
    while not barrier.Test():
        if time.monotonic() > end:
            _abort(f"ends the run: it left with the status {status}, and not all others did\n", status)
        time.sleep(0.01)


def _abort(text: str, status: int) -> None:
    world = MPI.COMM_WORLD
    sys.stdout.flush()
    sys.stderr.write(f"fe2: rank {world.rank} of {world.size} {text}")
    sys.stderr.flush()
    time.sleep(_FORWARDING)
    world.Abort(status)
