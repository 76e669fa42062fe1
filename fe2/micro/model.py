"""The contract of a micro model: anything that answers a macroscopic gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.errors import InputError
from fe2.physics.kinematics import Kinematics
from fe2.response import Response

if TYPE_CHECKING:
    from fe2.micro.fields import LocalFields

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Request:
    """What is wanted of the micro models in one evaluation.

    Attributes:
        kind: "exact" solves to the full tolerance, from the committed state, with the consistent
            tangent. "approach" starts from the last evaluation and stops at `accuracy`. "anticipate"
            stays at the gradient of the last evaluation, and gives the tangent for the way to the one
            that is handed over. "polish" brings the last evaluation, whose gradient is handed over, to
            the full tolerance; it has to come before a commit.
        accuracy: Norm of a cell's residual, relative to the forces in it, that an approach may leave.
    """

    kind: Literal["exact", "approach", "anticipate", "polish"] = "exact"
    accuracy: float = 0.0


EXACT = Request()


class MicroModel(Protocol):
    """Anything that maps (gradient, state, dt) to (flux, tangent, new state)."""

    @property
    def kinematics(self) -> Kinematics:
        """Names and sizes of gradient and flux."""

    @property
    def state_size(self) -> int:
        """Numbers that one quadrature point remembers."""

    @property
    def lasting_size(self) -> int:
        """Length of the leading part of a state that has to be stored to continue from it later.

        The rest, if any, only saves work: a restored state takes it from `initial_state()`.
        """

    def initial_state(self) -> Array:
        """State of the virgin material, shape (state_size,)."""

    def solve(self, gradient: Array, state: Array, dt: float, out: Array) -> Response:
        """Flux and tangent at the end of a time step.

        Args:
            gradient: Macroscopic gradient at the end of the step, shape (m,).
            state: Committed state, shape (state_size,); not modified.
            dt: Length of the time step.
            out: Receives the trial state, shape (state_size,).

        Raises:
            MicroSolveError: No equilibrium was found.
        """

    def averages(self, states: Array) -> dict[str, Array]:
        """Volume averages of the history variables for states (n, state_size), by name, each (n, c)."""


@runtime_checkable
class AdaptiveModel(MicroModel, Protocol):
    """A micro model that saves work where less than an exact answer is wanted."""

    @property
    def adaptive(self) -> bool:
        """Whether it does so as it is set up."""

    def answer(self, gradient: Array, state: Array, dt: float, out: Array, request: Request) -> Response:
        """As `solve`, for any request.

        Args:
            gradient: Macroscopic gradient, shape (m,).
            state: Committed state, shape (state_size,); not modified.
            dt: Length of the time step.
            out: On entry the row of the last evaluation since the last commit or rollback, at first
                the committed one; receives the trial state, and stays as it is on failure.
            request: What is wanted.

        Raises:
            MicroSolveError: No equilibrium was found.
        """


class PartialModel(MicroModel, Protocol):
    """One rank's part of a micro model that several ranks solve together: all of them call every method.

    Its states are this rank's parts of whole states.
    """

    @property
    def share(self) -> npt.NDArray[np.int64]:
        """Which numbers of a whole state this rank holds, shape (state_size,)."""


@runtime_checkable
class DivisibleModel(MicroModel, Protocol):
    """A micro model that several ranks can solve together."""

    @property
    def unknowns(self) -> int:
        """Size of the problem."""

    def distributed(self, comm: MPI.Comm) -> PartialModel:
        """This rank's part of the same model, solved by all ranks of a communicator; collective."""


@runtime_checkable
class ReportingModel(MicroModel, Protocol):
    """A micro model of which a run's summary has something to say, e.g. how often it left its range."""

    def report(self) -> dict[str, float]:
        """Numbers of this rank since the model was made, by what the summary calls them.

        Those whose names begin with "largest" are maxima, all others counts, which add up over the ranks.
        """


@runtime_checkable
class StandInModel(MicroModel, Protocol):
    """A micro model that answers in the place of another one, or before it."""

    def behind(self, state: Array) -> tuple[MicroModel, Array] | None:
        """The model that is asked where this one does not answer, with its state in the place of this one's.

        None where there is no other model.

        Raises:
            MicroSolveError: The other model's state has to be computed, and could not be.
        """


@runtime_checkable
class ResolvedModel(MicroModel, Protocol):
    """A micro model that has local fields."""

    def fields(self, state: Array) -> LocalFields:
        """Local fields of a state: displacement, gradient, flux and history."""


@runtime_checkable
class ExplainingModel(MicroModel, Protocol):
    """A micro model that says how it is solved."""

    def choices(self) -> dict[str, str]:
        """What was chosen, and why."""


@runtime_checkable
class CountingModel(MicroModel, Protocol):
    """A micro model that counts what it is asked, and has its virgin tangent besides."""

    def virgin_tangent(self) -> Array:
        """Tangent of the virgin material after a step without length, shape (m, m); it counts as no answer.

        Raises:
            MicroSolveError: No equilibrium was found.
        """


def is_adaptive(model: MicroModel) -> bool:
    """Whether a micro model tells requests apart."""
    return isinstance(model, AdaptiveModel) and model.adaptive


def answer(
    model: MicroModel, gradient: Array, state: Array, dt: float, out: Array, request: Request
) -> Response:
    """Answer of any micro model; one that is not adaptive is solved, whatever the request."""
    if request.kind != "exact" and isinstance(model, AdaptiveModel) and model.adaptive:
        return model.answer(gradient, state, dt, out, request)
    return model.solve(gradient, state, dt, out)


def virgin_tangent(model: MicroModel) -> Array:
    """Tangent of the virgin material after a step without length, shape (m, m).

    Raises:
        MicroSolveError: No equilibrium was found.
    """
    if isinstance(model, CountingModel):
        return model.virgin_tangent()
    virgin = model.initial_state()
    return model.solve(model.kinematics.origin, virgin, 0.0, np.empty_like(virgin)).tangent


def description(model: MicroModel) -> dict[str, Any]:
    """What a micro model is, as facts that can be stored and compared: its own, or its name and sizes."""
    names = {"model": type(model).__name__, "components": list(model.kinematics.components)}
    return {**names, **getattr(model, "description", {}), "state": model.lasting_size}


def report(model: MicroModel) -> dict[str, float]:
    """What a micro model reports, nothing where it reports nothing."""
    return model.report() if isinstance(model, ReportingModel) else {}


def choices(model: MicroModel) -> dict[str, str]:
    """What a micro model says of how it is solved, nothing where it says nothing."""
    return model.choices() if isinstance(model, ExplainingModel) else {}


def fields(model: MicroModel, state: Array) -> LocalFields:
    """Local fields of a state, of the cell that a micro model is or has behind it.

    Raises:
        InputError: It has no cell.
        MicroSolveError: The state of the cell has to be computed, and could not be.
    """
    while isinstance(model, StandInModel) and (found := model.behind(state)) is not None:
        model, state = found
    if not isinstance(model, ResolvedModel):
        raise InputError(f"a {type(model).__name__} has no local fields: there is no cell behind it")
    return model.fields(state)
