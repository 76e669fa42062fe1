"""When checkpoints are written, and where."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fe2 import __version__
from fe2.errors import InputError
from fe2.io.checkpoint import CheckpointFolder, Remembered
from fe2.io.macro_fields import Problem

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
    """

    every: int | None = None
    seconds: float | None = None
    folder: str | Path | None = None
    case: Mapping[str, Any] = field(default_factory=dict)

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


class Saving:
    """The checkpoints of one run and the clock that says when the next is due; methods are collective."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        output: str | Path | None,
        problem: Problem,
        remembered: Mapping[str, Remembered],
    ) -> None:
        """Find the folder, and start clock and count.

        Raises:
            InputError: There is no folder, or something cannot be stored.
        """
        self._checkpoints, self._comm = checkpoints, problem.comm
        place = checkpoints.place(output)
        self._folder = CheckpointFolder(
            place, problem, remembered, {"fe2": __version__, "case": checkpoints.case}
        )
        self._written = False
        self._start()

    @property
    def how_to_go_on(self) -> str:
        """Where the checkpoint is and what to do with it, for a message."""
        return (
            f"the checkpoint in {self._folder.folder} is complete: go on with resume=True, fe2 run --resume"
        )

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

    def write(self, position: Mapping[str, Any]) -> None:
        """Write a checkpoint of where the run stands, unless that was just done."""
        if self._steps == 0 and self._written:
            return
        self._folder.write(position)
        self._written = True
        self._start()

    def is_due(self) -> bool:
        """Whether a checkpoint follows the step that was just accepted."""
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
