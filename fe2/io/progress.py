"""Progress of a run: a live bar on a terminal, plain lines where there is none. Only rank 0 prints.

Every line also goes to Python's logger "fe2", whether it is printed or not: a program may attach a file.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fe2.errors import counted
from fe2.io.observer import Observer
from fe2.io.summary import profile_text
from fe2.records import StepRecord, Summary

if TYPE_CHECKING:
    from fe2.simulation import Simulation

_LOG = logging.getLogger("fe2")

_REFRESH = 0.1  # seconds between two pictures of the live bar
_LAST = 5  # accepted steps from which the time left is estimated


class Progress(Observer):
    """Tells how far a run is: accepted and rejected steps, points done, and the time that is left.

    Steps are counted as they are accepted; where these are not the planned ones it says both. The time left
    is what the rest of the plan takes where it is as fast as the last steps. At the end nothing here is
    collective: a run that ends with an error on one rank can still say so.
    """

    def __init__(self, *, quiet: bool = False, profile: bool = False) -> None:
        """Stand at the start.

        Args:
            quiet: Print nothing.
            profile: Print at the end where the time went, by phase.
        """
        self._quiet, self._shows_profile = quiet, profile
        self._live: Live | None = None

    def prepare(self, run: Simulation) -> None:
        """Let the micro models tell which points are done."""
        super().prepare(run)
        for law in run.problem.laws:
            law.pool.progress = self.points
        comm = run.problem.comm
        self._first = comm.rank == 0
        self._speaks = self._first and not self._quiet
        self._note = "" if comm.size == 1 else "(points of rank 0)"
        self._steps = len(run.steps.times) - 1
        self._start = self._last_refresh = time.perf_counter()
        self._passed = deque([(0.0, self._start)], _LAST + 1)  # shares of the plan, and when they were done
        self._count, self._number, self._target = 0, 0, 0.0
        self._evaluations, self._done, self._total = 0, 0, 0

    def begin(self) -> None:
        """Start the clock, and the live bar where there is a terminal; say how points are spread."""
        self._start = time.perf_counter()
        if self._speaks and sys.stdout is not None and sys.stdout.isatty():
            console = Console(highlight=False)
            if not console.is_dumb_terminal:
                # refreshed by hand: a thread would compete with the solver for the processor
                self._live = Live(console=console, auto_refresh=False, transient=True)
                self._live.start()
        if self.run.problem.comm.size > 1:
            for law in self.run.problem.laws:
                self._say(law.pool.describe())
        control = self.run.control
        self._passed = deque([(control.share, self._start)], _LAST + 1)
        if self.run.goes_on:
            self._say(f"resumed at time {control.time:.6g}")

    def trying(self, target: float) -> None:
        """A step is tried."""
        self._count, self._number = len(self.run.records) + 1, self.run.control.number
        self._target = target
        self._evaluations, self._done, self._total = 0, 0, 0
        self._refresh()

    def points(self, done: int, total: int) -> None:
        """A point is solved: number of points done and of all points of this rank in this evaluation."""
        if self._live is None:
            return
        if done <= self._done or self._evaluations == 0:
            self._evaluations += 1
        self._done, self._total = done, total
        if done == total or time.perf_counter() - self._last_refresh > _REFRESH:
            self._refresh()

    def rejected(self, error: Exception) -> None:
        """The try failed and is given up."""
        self._say(f"{self._title()}  given up on the way to time {self._target:.6g}: {error}")

    def accepted(self, record: StepRecord) -> None:
        """The try succeeded."""
        self._passed.append((self.run.control.share, time.perf_counter()))
        left = self._left()
        self._say(
            f"{self._title()}  time {record.time:<10.6g} {counted(record.iterations, 'iteration'):>14}  "
            f"{record.micro_solves:7d} micro solves  {record.seconds:8.2f} s"
            + (f"  {_clock(left)} left" if left else "")
        )
        self._refresh()

    def end(self, summary: Summary) -> None:
        """The run is over."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        rate = summary.micro_solves / summary.seconds if summary.seconds > 0.0 else 0.0
        ending = "finished" if summary.finished else "stopped"
        self._say(
            f"{ending} at time {summary.time:.6g} after {_clock(summary.seconds)}: "
            f"{counted(summary.steps, 'step')}, {summary.rejected} given up, "
            f"{counted(summary.iterations, 'iteration')}, {summary.micro_solves} micro solves, "
            f"{rate:.1f} per second"
        )
        for name, value in summary.models.items():
            if value:
                self._say(f"{name}: {value:.6g}")
        for line in profile_text(summary).splitlines() if self._shows_profile else ():
            self._say(line)

    def _title(self) -> str:
        width = len(str(self._steps))
        planned = f"{self._number:{width}d}/{self._steps}"
        is_planned = self._count == self._number and self.run.steps.tolerance is None
        return f"step {planned}" if is_planned else f"step {self._count}, planned {planned}"

    def _left(self) -> float:
        (before, begun), (share, ended) = self._passed[0], self._passed[-1]
        if not before < share < 1.0:
            return 0.0
        wanted = (1.0 - share) / (share - before) * (ended - begun)
        return max(0.0, wanted - (time.perf_counter() - ended))

    def _say(self, line: str) -> None:
        if self._first:
            _LOG.info(line)
        if self._live is not None:
            self._live.console.print(Text(line), soft_wrap=True)
        elif self._speaks:
            try:
                print(line, flush=True)
            except (OSError, UnicodeEncodeError):
                self._speaks = False  # nobody can read it: no reason to end a run

    def _refresh(self) -> None:
        if self._live is None:
            return
        self._last_refresh = time.perf_counter()
        left = self._left()
        parts = [
            f"{self._title()} to {self._target:.4g}",
            f"evaluation {self._evaluations}: {self._done}/{self._total}",
            _clock(self._last_refresh - self._start) + (f", {_clock(left)} left" if left else ""),
            self._note,
        ]
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=1.0, completed=self._passed[-1][0], width=8)
        row.add_row(bar, Text("  ".join(parts), no_wrap=True, overflow="ellipsis"))
        self._live.update(row, refresh=True)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
