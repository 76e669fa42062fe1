"""Load steps: the plan of times, and the control that halves a step that fails and lets it grow again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fe2.errors import InputError, StepSizeError


@dataclass(frozen=True)
class LoadSteps:
    """A plan of load steps.

    Attributes:
        times: The start and then the end of every planned step, increasing. A hold is a step over
            which the load does not change.
        apply: Sets the load of a time: it writes to the constants and functions in the user's form.
        smallest: Smallest part of a planned step that is tried before the run ends.
    """

    times: Sequence[float]
    apply: Callable[[float], None]
    smallest: float = 2.0**-6

    def __post_init__(self) -> None:
        times = np.asarray(self.times, dtype=np.float64)
        if times.ndim != 1 or len(times) < 2 or not np.all(np.diff(times) > 0):
            raise InputError(f"load steps need at least two increasing times, not {list(self.times)}")
        if not 0.0 < self.smallest <= 1.0:
            raise InputError(f"smallest = {self.smallest} is not admissible; it must lie in (0, 1]")


def ramp(points: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """Piecewise linear function of time through (time, value) points, constant beyond its ends.

    Raises:
        InputError: The times do not increase.
    """
    times, values = np.asarray(points, dtype=np.float64).T
    if not np.all(np.diff(times) > 0):
        raise InputError(f"the times of a ramp must increase, not {times.tolist()}")
    return lambda time: float(np.interp(time, times, values))


class StepControl:
    """Where a run stands in its plan, and how large its next step is.

    Attributes:
        rejected: Number of steps that were given up.
    """

    def __init__(self, steps: LoadSteps) -> None:
        """Stand at the start of the plan."""
        self._steps = steps
        self._interval = 0
        self._done = 0.0
        self._part = 1.0
        self.rejected = 0

    @property
    def finished(self) -> bool:
        """True at the end of the plan."""
        return self._interval == len(self._steps.times) - 1

    @property
    def number(self) -> int:
        """Number of the planned step that is being taken, from one."""
        return self._interval + 1

    @property
    def time(self) -> float:
        """Time of the last accepted step."""
        return self._time(self._done)

    @property
    def target(self) -> float:
        """Time at the end of the step to be tried."""
        return self._time(min(1.0, self._done + self._part))

    @property
    def on_plan(self) -> bool:
        """True where the last accepted step ended at a planned time."""
        return self._done == 0.0

    def position(self) -> dict[str, Any]:
        """Where the run stands, to be stored and handed to :meth:`restore` later."""
        passed = self._steps.times[: self._interval + 1 + (not self.on_plan)]
        return {
            "times": [float(time) for time in passed],
            "done": self._done,
            "part": self._part,
            "rejected": self.rejected,
        }

    def restore(self, position: Mapping[str, Any]) -> None:
        """Stand where another run of this plan stood; what lies ahead may be another plan.

        Raises:
            InputError: The times that lie behind are not those of this plan.
        """
        passed = position["times"]
        own = [float(time) for time in self._steps.times[: len(passed)]]
        if own != passed:
            wrong = next(
                (k for k, pair in enumerate(zip(own, passed, strict=False)) if len(set(pair)) > 1), len(own)
            )
            here = f"is {own[wrong]:.10g}" if wrong < len(own) else "does not exist"
            raise InputError(
                f"the run took its steps at other times: planned time {wrong} was {passed[wrong]:.10g} "
                f"and {here} in this plan"
            )
        self._done, self._part = float(position["done"]), float(position["part"])
        self._interval = len(passed) - 1 - (not self.on_plan)
        self.rejected = int(position["rejected"])

    def accept(self) -> None:
        """The step to `target` succeeded; the next one may be twice as large."""
        self._done += self._part
        if self._done >= 1.0:
            self._interval, self._done = self._interval + 1, 0.0
        self._part = min(2.0 * self._part, 1.0 - self._done)

    def reject(self, reason: Exception) -> None:
        """The step to `target` failed and is halved.

        Raises:
            StepSizeError: The step is at its smallest; the message ends with the reason.
        """
        self.rejected += 1
        if self._part / 2.0 < self._steps.smallest:
            error = StepSizeError(
                f"load step {self.number} failed at the smallest step size, from time {self.time:.6g} "
                f"to {self.target:.6g}: {reason}"
            )
            error.collective = True
            raise error from reason
        self._part /= 2.0

    def _time(self, fraction: float) -> float:
        if self.finished:
            return float(self._steps.times[-1])
        start, end = self._steps.times[self._interval : self._interval + 2]
        return float(end) if fraction == 1.0 else float(start + fraction * (end - start))
