"""Solving the one RVE again that ended a run, by itself, and watching its iteration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fe2.errors import InputError, MicroSolveError
from fe2.io.failure_file import FailedPoint, read_failure
from fe2.micro.model import MicroModel
from fe2.micro.points import NOWHERE, Point
from fe2.response import Array, Response

if TYPE_CHECKING:
    from fe2.micro.rve import RVE


@dataclass(frozen=True)
class Replay:
    """How the RVE of a failure did by itself.

    Attributes:
        failed: The failure.
        rve: The RVE that was solved.
        norms: Norms of the cell's residual at every field that was tried, in their order.
        error: What went wrong, or nothing where the RVE was solved this time.
        response: Flux and tangent, where it was solved.
        state: The state that was reached, or where none was the committed one that it started from.
    """

    failed: FailedPoint
    rve: RVE
    norms: tuple[float, ...]
    error: str
    response: Response | None
    state: Array


def replay_failure(file: str | Path, model: MicroModel) -> Replay:
    """Solve the RVE of a failure again, from its committed state, at the gradient that was not reached.

    Args:
        file: The file ``failure.h5`` that the run left in its folder of results.
        model: The micro model, made as it was made for the run: a representative volume element, or what
            has one behind it, as an error-controlled reduced cell has. Other options of the RVE's solver
            may show what helps.

    Raises:
        InputError: The file cannot be read, or belongs to another micro model, the difference is named; or
            there is no RVE behind it.
        MicroSolveError: The state of the RVE behind the model could not be found.
    """
    failed = read_failure(file)
    found = whole_cell(model, failed.state_of(model), failed.gradient, failed.place)
    if found is None:
        raise InputError(f"there is no whole cell behind a {type(model).__name__} that could be solved again")
    rve, state, gradient = found
    response, error, out = None, "", state.copy()
    with rve.tracing() as norms:
        try:
            response = rve.solve(gradient, state, failed.dt, out)
        except MicroSolveError as failure:
            error = str(failure)
    return Replay(failed, rve, tuple(norms), error, response, state if response is None else out)


def whole_cell(
    model: MicroModel, state: Array, gradient: Array, point: Point = NOWHERE
) -> tuple[RVE, Array, Array] | None:
    """The RVE that a micro model is or has behind it, its state and gradient, or None where there is none.

    Raises:
        MicroSolveError: The state of the RVE has to be computed, and could not be.
    """
    while (found := model.behind(state, gradient, point)) is not None:
        model, state, gradient = found
    return (cast("RVE", model), state, gradient) if hasattr(model, "tracing") else None


def what_to_do(file: Path, model: MicroModel, *, has_case: bool) -> str:
    """What a user can do with the file of a failure, for the message of the run.

    Args:
        file: The file.
        model: The micro model that failed.
        has_case: Whether the file says how the micro model is made.
    """
    if whole_cell(model, model.initial_state(), model.kinematics.origin) is None:
        return f"Gradient and state of this point are in {file}"
    if has_case:
        return f"To solve this RVE by itself: fe2 replay {file}"
    return f"To solve this RVE by itself: fe2.replay_failure({str(file)!r}, micro)"
