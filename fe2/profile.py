"""Where the time of a process goes, by phase, and how often the costly things were done.

There is one log for each process, as PETSc has: whoever wants to know about a part of a program
takes two snapshots and their difference. Phases are exclusive: the time of an inner one is not counted
in the outer one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from mpi4py import MPI

PHASES = {
    "residual": "residuals of cells",
    "point laws": "point laws",
    "assembly": "stiffness of cells, folded",
    "factorization": "factorizations",
    "solve": "solves with factorizations",
    "condensation": "condensed tangents",
    "history": "history of cells",
    "cell": "rest of the cell problems",
    "pool": "data movement",
    "macro assembly": "macroscopic assembly",
    "macro solve": "macroscopic solver",
    "output": "output",
}
"""What the phases are, by name."""

COUNTS = {
    "residuals": "residuals",
    "assemblies": "stiffness assemblies",
    "factorizations": "factorizations",
    "solves": "right-hand sides solved",
    "iterations": "iterations of conjugate gradients",
    "accepted": "predictions accepted",
    "solved": "points solved",
    "reversals": "points that began to unload",
    "polished": "points polished before a commit",
    "direct": "iterative solvers of cells that failed, factorized instead",
    "fallbacks": "points solved again from the committed state",
}
"""What is counted, by name."""


@dataclass(frozen=True)
class Work:
    """Seconds by phase and counts by name, of a process or of all ranks."""

    seconds: Mapping[str, float]
    counts: Mapping[str, int]

    def since(self, start: Work) -> Work:
        """The work after an earlier snapshot."""
        return Work(
            {name: value - start.seconds.get(name, 0.0) for name, value in self.seconds.items()},
            {name: value - start.counts.get(name, 0) for name, value in self.counts.items()},
        )

    def summed(self, comm: MPI.Comm) -> Work:
        """The work of all ranks; collective."""
        ranks = comm.allgather(self)
        return Work(
            {name: sum(work.seconds[name] for work in ranks) for name in PHASES},
            {name: sum(work.counts[name] for work in ranks) for name in COUNTS},
        )


_counts: Counter[str] = Counter()
_seconds = dict.fromkeys(PHASES, 0.0)
_stack: list[str] = []
_mark = 0.0


def count(name: str, number: int = 1) -> None:
    """Count something of `COUNTS`."""
    _counts[name] += number


def snapshot() -> Work:
    """The work of this process so far."""
    return Work(dict(_seconds), {name: _counts[name] for name in COUNTS})


class phase:  # noqa: N801  # used as a function
    """Context whose time belongs to one of `PHASES`, less that of the phases within."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Stop the clock of the outer phase and start this one's."""
        _charge()
        _stack.append(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go back to the outer phase."""
        _charge()
        _stack.pop()


def _charge() -> None:
    global _mark
    now = time.perf_counter()
    if _stack:
        _seconds[_stack[-1]] += now - _mark
    _mark = now
