"""Load steps: the plan of times, and the control that shortens a step that fails and lets it grow again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fe2.errors import InputError, StepSizeError


def least_part(smallest: float | None, tolerance: float | None) -> float:
    """The smallest part of a planned step, also where it is left to its default."""
    if smallest is not None:
        return smallest
    return 2.0**-6 if tolerance is None else 2.0**-12


@dataclass(frozen=True)
class LoadSteps:
    """A plan of load steps.

    Attributes:
        times: The start and then the end of every planned step, increasing. A hold is a step over
            which the load does not change.
        apply: Sets the load of a time: it writes to the constants and functions in the user's form.
        smallest: Smallest part of a planned step that is tried before the run ends: 2⁻⁶ by default, 2⁻¹²
            with a tolerance.
        tolerance: Local error of a step, relative to the largest change of a field since the start, see
            `time_error.py`: above it the step is given up and shortened, below it grows. None takes the
            planned steps. The first step is the smallest; one that cannot be shorter is accepted whatever its
            error is, as after a jump of a load.
        largest: Largest part of a planned step that is taken with a tolerance.
    """

    times: Sequence[float]
    apply: Callable[[float], None]
    smallest: float | None = None
    tolerance: float | None = None
    largest: float = 1.0

    def __post_init__(self) -> None:
        times = np.asarray(self.times, dtype=np.float64)
        if times.ndim != 1 or len(times) < 2 or not np.all(np.diff(times) > 0):
            raise InputError(f"load steps need at least two increasing times, not {list(self.times)}")
        if not 0.0 < self.least <= 1.0:
            raise InputError(f"smallest = {self.smallest} is not admissible; it must lie in (0, 1]")
        if self.tolerance is not None and not 0.0 < self.tolerance < 1.0:
            raise InputError(f"tolerance = {self.tolerance} is not admissible; it must lie in (0, 1)")
        if not self.least <= self.largest <= 1.0:
            raise InputError(f"largest = {self.largest} must lie between the smallest, {self.least:g}, and 1")

    @property
    def least(self) -> float:
        """The smallest part, also where it was left to its default."""
        return least_part(self.smallest, self.tolerance)


def ramp(points: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """Piecewise linear function of time through (time, value) points, constant beyond its ends.

    Raises:
        InputError: The times do not increase.
    """
    times, values = np.asarray(points, dtype=np.float64).T
    if not np.all(np.diff(times) > 0):
        raise InputError(f"the times of a ramp must increase, not {times.tolist()}")
    return lambda time: float(np.interp(time, times, values))


_GROWTH = 2.0
"""How many times as long as the last accepted step the next one is at most."""
_ROUND_OFF = 1e-9
"""Part of a step by which another may be longer without being one more."""


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
        self._length = 0.0  # wanted in a unit of time, with a tolerance
        self._taken = 0.0  # length of the last accepted step
        self.rejected = 0
        if steps.tolerance is not None:
            self._want(0.0)

    @property
    def finished(self) -> bool:
        """True at the end of the plan."""
        return self._interval == len(self._steps.times) - 1

    @property
    def number(self) -> int:
        """Number of the planned step that is being taken, from one."""
        return self._interval + 1

    @property
    def share(self) -> float:
        """Share of the plan that is done, in which all planned steps count alike."""
        return (self._interval + self._done) / (len(self._steps.times) - 1)

    @property
    def time(self) -> float:
        """Time of the last accepted step."""
        return self._time(self._done)

    @property
    def target(self) -> float:
        """Time at the end of the step to be tried."""
        return self._time(min(1.0, self._done + self._part))

    @property
    def is_smallest(self) -> bool:
        """True where the step to be tried cannot be shorter."""
        return self._part <= self._steps.least

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
            "length": self._length,
            "taken": self._taken,
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
        self.rejected, self._taken = int(position["rejected"]), float(position["taken"])
        if self._steps.tolerance is not None:
            self._want(float(position["length"]))

    def accept(self, factor: float = _GROWTH) -> None:
        """The step to `target` succeeded.

        Args:
            factor: How much longer the next one may be.
        """
        part, self._taken = self._part, self.target - self.time
        self._done += part
        if self._done >= 1.0:
            self._interval, self._done = self._interval + 1, 0.0
        self._part = min(factor * part, 1.0 - self._done)
        if self._steps.tolerance is not None:
            self._want(factor * self._taken)

    def reject(self, reason: Exception, factor: float = 0.5) -> None:
        """The step to `target` failed and is shortened.

        Args:
            reason: Why it failed.
            factor: By which it is multiplied, as far as it may.

        Raises:
            StepSizeError: The step is at its smallest; the message ends with the reason.
        """
        self.rejected += 1
        shorter = factor * self._part
        if self._steps.tolerance is not None:
            shorter = max(shorter, self._steps.least)
        if not self._steps.least <= shorter < self._part:
            error = StepSizeError(
                f"load step {self.number} failed at the smallest step size, from time {self.time:.6g} "
                f"to {self.target:.6g}: {reason}"
            )
            error.collective = True
            raise error from reason
        self._part = shorter
        if self._steps.tolerance is not None:
            self._want(shorter * self._span)

    def _want(self, length: float) -> None:
        """Want a step of that length, in equal ones up to the next planned time.

        One that is shorter than the smallest one becomes that, growing from the last one as fast as it may.
        """
        self._length = length
        if self.finished:
            return
        least = self._steps.least * self._span
        if self._taken > 0.0:
            least = min(least, _GROWTH * self._taken)
        part = min(max(length, least) / self._span, self._steps.largest)
        left = 1.0 - self._done
        self._part = left / math.ceil(left / part - _ROUND_OFF)

    @property
    def _span(self) -> float:
        """Length of the planned step."""
        start, end = self._steps.times[self._interval : self._interval + 2]
        return float(end - start)

    def _time(self, fraction: float) -> float:
        if self.finished:
            return float(self._steps.times[-1])
        start, end = self._steps.times[self._interval : self._interval + 2]
        return float(end) if fraction == 1.0 else float(start + fraction * (end - start))
