"""Solving the one RVE again that ended a run, by itself, and watching its iteration."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fe2.errors import MicroSolveError
from fe2.io.failure_file import FailedPoint, read_failure
from fe2.micro.model import MicroModel
from fe2.response import Array, Response


class Traced(MicroModel, Protocol):
    """A micro model that tells how its iteration goes."""

    def tracing(self) -> AbstractContextManager[list[float]]:
        """Collects the norms of the residuals of all solves inside."""


@dataclass(frozen=True)
class Replay:
    """How the RVE of a failure did by itself.

    Attributes:
        failed: The failure.
        norms: Norms of the cell's residual at every field that was tried, in their order.
        error: What went wrong, or nothing where the RVE was solved this time.
        response: Flux and tangent, where it was solved.
        state: The state that was reached, or where none was the committed one that it started from.
    """

    failed: FailedPoint
    norms: tuple[float, ...]
    error: str
    response: Response | None
    state: Array


def replay_failure(file: str | Path, rve: Traced) -> Replay:
    """Solve the RVE of a failure again, from its committed state, at the gradient that was not reached.

    Args:
        file: The file ``failure.h5`` that the run left in its folder of results.
        rve: The representative volume element, made as it was made for the run; other options of its
            solver may show what helps.

    Raises:
        InputError: The file cannot be read, or belongs to another RVE; the difference is named.
    """
    failed = read_failure(file)
    state = failed.state_of(rve)
    response, error, out = None, "", state.copy()
    with rve.tracing() as norms:
        try:
            response = rve.solve(failed.gradient, state, failed.dt, out)
        except MicroSolveError as failure:
            error = str(failure)
    return Replay(failed, tuple(norms), error, response, state if response is None else out)
