"""What looks at a run: its results, its progress, its checkpoints, and whatever a user adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fe2.records import StepRecord, Summary

if TYPE_CHECKING:
    from fe2.simulation import Simulation


class Observer:
    """Looks at a run, and is told what happens on all ranks at once; every method does nothing by default.

    .. code-block:: python

        class Largest(fe2.Observer):
            def accepted(self, record: fe2.StepRecord) -> None:
                print(record.time, abs(u.x.array).max())

        fe2.Simulation(problem, steps, observers=[Largest()]).run()

    Where all that is wanted is a call after every accepted step, any function of the time is an observer.
    Observers are told in their order, the last of them the checkpoints.
    """

    run: Simulation

    def prepare(self, run: Simulation) -> None:
        """The run has been made: what cannot be is refused here, before the work begins; collective."""
        self.run = run

    def begin(self) -> None:
        """The run begins, at its start or where it goes on; collective."""

    def trying(self, target: float) -> None:
        """A step to that time is tried; collective."""

    def rejected(self, error: Exception) -> None:
        """The step failed and is given up: nothing of it is left; collective."""

    def accepted(self, record: StepRecord) -> None:
        """The step was accepted; collective."""

    def failed(self, error: Exception) -> None:
        """The run ends at its smallest step, or by a signal, at the last accepted step; collective."""

    def end(self, summary: Summary) -> None:
        """The run is over; collective only where it has finished: other ranks may be lost."""


class Calls(Observer):
    """Calls a function with the time of every accepted step."""

    def __init__(self, function: Callable[[float], Any]) -> None:
        """Keep the function."""
        self._function = function

    def accepted(self, record: StepRecord) -> None:
        """Call it."""
        self._function(record.time)
