"""When checkpoints are written, and where."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fe2 import __version__
from fe2.errors import InputError, RunInterruptedError
from fe2.io.checkpoint import CheckpointFolder, Remembered
from fe2.io.observer import Observer
from fe2.records import StepRecord

if TYPE_CHECKING:
    from fe2.macro.problem import MacroProblem as Problem

FOLDER = "checkpoint"
"""Subfolder of the folder of results."""


@dataclass(frozen=True)
class Checkpoints:
    """When a run writes checkpoints. One is always written at its end, and when a signal stops it.

    Attributes:
        every: Accepted steps between two checkpoints.
        seconds: Seconds after which the next accepted step is followed by a checkpoint.
        folder: Where checkpoints go: ``checkpoint`` in the folder of results by default.
        case: What the run is, as JSON has it: compared when the run is resumed.
        remember: Functions and constants that observers change and the form needs, by name: checkpoints hold
            them beside the unknown and the states of the micro models.
    """

    every: int | None = None
    seconds: float | None = None
    folder: str | Path | None = None
    case: Mapping[str, Any] = field(default_factory=dict)
    remember: Mapping[str, Remembered] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise InputError(f"every = {self.every} is not admissible; it must be 1 or more steps, or None")
        if self.seconds is not None and not self.seconds > 0.0:
            raise InputError(f"seconds = {self.seconds} is not admissible; it must be positive, or None")

    def place(self, output: str | Path | None) -> Path:
        """The folder of the checkpoints of a run with a folder of results, or without.

        Raises:
            InputError: There is none.
        """
        if self.folder is None and output is None:
            raise InputError("checkpoints need a folder: set output of Simulation, or folder of Checkpoints")
        return (
            Path(output, FOLDER) if self.folder is None and output is not None else Path(self.folder or ".")
        )


class Saving(Observer):
    """Writes the checkpoints of one run, when the clock or the count says so; methods are collective."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        output: str | Path | None,
        problem: Problem,
        own: Mapping[str, Remembered],
        identity: Mapping[str, Any],
    ) -> None:
        """Find the folder, and start clock and count.

        Args:
            checkpoints: When and where.
            output: Folder of results.
            problem: The macroscopic problem.
            own: What the run remembers by itself.
            identity: What it is, beside its case.

        Raises:
            InputError: There is no folder, or something cannot be stored.
        """
        self._checkpoints, self._comm = checkpoints, problem.comm
        identity = {"fe2": __version__, "case": checkpoints.case, **identity}
        remembered = {**checkpoints.remember, **own}
        self._folder = CheckpointFolder(checkpoints.place(output), problem, remembered, identity)
        self._written = False
        self._start()

    @property
    def folder(self) -> Path:
        """Where the checkpoints go."""
        return self._folder.folder

    def exists(self) -> bool:
        """True where there is a checkpoint."""
        return self._folder.exists()

    def look(self) -> dict[str, Any]:
        """Where the run stood that wrote the checkpoint, which has to be of this one."""
        return self._folder.look()

    def read(self) -> None:
        """Set everything from the checkpoint."""
        self._folder.read()

    def accepted(self, record: StepRecord) -> None:
        """Write a checkpoint where one is due, and at the end of the plan."""
        if self._is_due() or self.run.control.finished:
            self._write()

    def failed(self, error: Exception) -> None:
        """Write a checkpoint of the last accepted step, unless that was just done."""
        if self._steps or not self._written:
            self._write()
        if isinstance(error, RunInterruptedError):
            where = f"the checkpoint in {self._folder.folder} is complete"
            ways = "go on with resume=True, fe2 run --resume"
            error.args = (f"{error} at time {self.run.control.time:.6g}; {where}: {ways}",)

    def _write(self) -> None:
        self._folder.write(self.run.position())
        self._written = True
        self._start()

    def _is_due(self) -> bool:
        self._steps += 1
        every, seconds = self._checkpoints.every, self._checkpoints.seconds
        if every is not None and self._steps >= every:
            return True
        if seconds is None:
            return False
        # clocks differ: that of the first rank decides
        return bool(self._comm.bcast(time.monotonic() - self._last >= seconds, root=0))

    def _start(self) -> None:
        self._steps, self._last = 0, time.monotonic()
