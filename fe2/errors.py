"""The errors that fe2 raises: each names the place, the value and what would be right."""

from __future__ import annotations

import signal
from collections.abc import Iterable


class Fe2Error(Exception):
    """Base of every error that fe2 raises on purpose.

    Attributes:
        collective: True where every rank of the communicator raises the same error, so that
            all of them may end by themselves. An error raised on a single rank has to abort
            the others, or they would wait for it for ever.
    """

    collective: bool = False


class Fe2Warning(UserWarning):
    """Something that may make a result wrong, although there is one; the message says what to look at."""


class InputError(Fe2Error, ValueError):
    """Input that cannot be right: the message names the entity, its value and what would be right."""


class MissingDependencyError(Fe2Error, ImportError):
    """Something that has to be installed is not: the message says how to get it."""


HOW_TO_GET_DOLFINX = (
    "fe2 needs DOLFINx 0.11 with PETSc. Get it with one of: pip install 'fe2[wheel]'; "
    "conda install -c conda-forge fenics-dolfinx mpich; a container image of the FEniCS project."
)


class LocalSolveError(Fe2Error):
    """A phase law's local equation was not solved at some quadrature points of a cell.

    Attributes:
        points: Rows of the arrays handed to the law at which its local Newton failed.
    """

    def __init__(self, message: str, points: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.points = points


class MicroSolveError(Fe2Error):
    """A representative volume element was not solved at some macroscopic quadrature point."""


class OutsideRangeError(MicroSolveError):
    """A micro model was asked for a gradient outside of the range in which it holds."""


class MacroSolveError(Fe2Error):
    """The macroscopic Newton iteration did not converge within a load step."""


class StepSizeError(Fe2Error):
    """A load step failed at the smallest step size; everything up to the last accepted step is kept."""


class RunInterruptedError(Fe2Error):
    """The run was asked to stop by a signal, and did so in good order.

    Everything up to the last accepted step is kept, in a checkpoint where the run writes any.
    """


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""What asks a run to stop: Ctrl-C, `kill` and time limits, and Slurm's warning before them."""


class PictureError(Fe2Error):
    """A picture was not drawn: the message says what is missing, or which fields there are."""


def counted(number: int, noun: str) -> str:
    """A number of things in words: "1 step", "2 steps"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def place(point: Iterable[float]) -> str:
    """Coordinates as messages give them."""
    return "(" + ", ".join(f"{value:.6g}" for value in point) + ")"
