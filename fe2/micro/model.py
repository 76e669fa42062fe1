"""The contract of a micro model: anything that answers macroscopic gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.errors import InputError, MicroSolveError, place
from fe2.micro.breakdown import breakdowns
from fe2.micro.points import NOWHERE, Point, Points, Step, only
from fe2.micro.state import StateLayout
from fe2.parallel import together
from fe2.physics.kinematics import Kinematics
from fe2.records import SolverChoice
from fe2.response import Answers, Response

if TYPE_CHECKING:
    from fe2.micro.fields import LocalFields


class MicroModel(ABC):
    """Anything that maps gradients, states and a time step to fluxes, tangents and new states.

    A subclass sets `kinematics`, and `state` where it remembers anything, and writes :meth:`evaluate`, which
    is handed all points of a rank; or it inherits :class:`Pointwise` and answers one point at a time.
    All else has defaults.

    Whatever influences the next answer for a point has to be in its state, nothing in the object: points
    move between ranks, steps are rejected, runs are continued.

    Attributes:
        parameters: Names of the parameters of a point without which it cannot be answered.
        batch: Points that are handed over in one call at most; all that a rank has where it is None.
        dump_size: Most bytes of a state, where states are no rows: then a row holds keys of what the model
            keeps itself, and :meth:`dump`, :meth:`load`, :meth:`keep` are needed. Such points stay on their
            ranks.
    """

    parameters: tuple[str, ...] = ()
    batch: int | None = None
    dump_size: int | None = None

    kinematics: Kinematics
    """Names and sizes of gradient and flux."""

    state: StateLayout = StateLayout()
    """Fields of a state."""

    @abstractmethod
    def evaluate(
        self, gradients: Array, committed: Array, trial: Array, points: Points, step: Step, answers: Answers
    ) -> None:
        """Fluxes, tangents and states of n points at the end of a time step.

        A point without an answer is told to `answers.fail`, and keeps no other point from its own. Numbers
        that break down, see :class:`Pointwise`, are the failure of the first point; whatever else is raised
        is a mistake in the program and ends the run.

        Args:
            gradients: Macroscopic gradients at the end of the step, shape (n, m); not modified.
            committed: Rows of the committed states, shape (n, state_size); not modified.
            trial: On entry the rows of the last evaluation since the last commit or rollback, at first the
                committed ones; receive the new states.
            points: The points, with their parameters.
            step: The time step, and what is wanted.
            answers: Receives fluxes, tangents, and what else there is to say.
        """

    @property
    def state_size(self) -> int:
        """Words that one quadrature point remembers."""
        return self.state.size

    @property
    def lasting_size(self) -> int:
        """Words that have to be stored to continue from a state later."""
        return self.state.lasting_size

    @property
    def stored_size(self) -> int:
        """Words that a checkpoint stores of a point."""
        return self.lasting_size if self.dump_size is None else 1 - (-self.dump_size // 8)

    def dump(self, states: Array) -> list[bytes]:
        """States of shape (n, state_size) as bytes, of each of them at most `dump_size`."""
        raise NotImplementedError(f"{type(self).__name__}.dump")

    def load(self, contents: Sequence[bytes]) -> Array:
        """Rows of states that were dumped, shape (n, state_size)."""
        raise NotImplementedError(f"{type(self).__name__}.load")

    def keep(self, states: Array) -> None:
        """All states that are still in use, shape (n, state_size): nothing else has to be kept."""
        raise NotImplementedError(f"{type(self).__name__}.keep")

    def initial_state(self) -> Array:
        """State of the virgin material, shape (state_size,)."""
        return self.state.initial()

    def solve(
        self, gradient: Array, state: Array, dt: float, out: Array, *, point: Point = NOWHERE
    ) -> Response:
        """Flux and tangent of one point at the end of a time step.

        Args:
            gradient: Macroscopic gradient at the end of the step, shape (m,).
            state: Committed state, shape (state_size,); not modified.
            dt: Length of the time step.
            out: Receives the trial state, shape (state_size,).
            point: The macroscopic point.

        Raises:
            MicroSolveError: No equilibrium was found.
        """
        return self.respond(gradient, state, out, point, Step(dt))

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        """As :meth:`evaluate`, for one point.

        Raises:
            MicroSolveError: No equilibrium was found.
        """
        answers = Answers.empty(1, self.kinematics.size)
        self.evaluate(gradient[None], committed[None], trial[None], only(point), step, answers)
        answers.check()
        return answers.response(0)

    def check_points(self, points: Points) -> None:
        """Refuse points that this model cannot answer, before any work; all of its parameters are there.

        Raises:
            InputError: A parameter is not finite, or has a value or a shape without a meaning.
        """
        for name, values in points.parameters.items():
            wrong = np.unique(np.nonzero(~np.isfinite(values))[0])
            if len(wrong):
                raise InputError(
                    f"parameters: {name} is {values[wrong[0]]} at {place(points.coordinates[wrong[0]])}, "
                    f"one of {len(wrong)} points of a rank where it is not finite"
                )

    def averages(self, states: Array) -> dict[str, Array]:
        """What of states (n, state_size) is worth drawing, by name, each (n, c): averages over the volume."""
        return {}

    def virgin_tangent(self, point: Point = NOWHERE) -> Array:
        """Tangent of the virgin material after a step without length, shape (m, m); it counts as no answer.

        Raises:
            MicroSolveError: No equilibrium was found.
        """
        virgin = self.initial_state()
        return self.solve(self.kinematics.origin, virgin, 0.0, virgin.copy(), point=point).tangent

    @property
    def description(self) -> dict[str, Any]:
        """What decides about the answers, as facts that can be stored and compared."""
        return {}

    def describe(self) -> dict[str, Any]:
        """What the model is, as facts that can be stored and compared."""
        names = {"model": type(self).__name__, "components": list(self.kinematics.components)}
        opaque = {} if self.dump_size is None else {"bytes": self.dump_size}
        return {**names, **self.description, "state": self.state.describe() | opaque}

    @property
    def period(self) -> Array | None:
        """Edge lengths of the cell, shape (dim,), where there is one."""
        return None

    @property
    def is_linear(self) -> bool:
        """Whether the flux at a point is a constant tangent times the gradient, plus a constant."""
        return False

    def linearized(self) -> MicroModel:
        """A linear model as one that has no cell to solve.

        Raises:
            InputError: It cannot be linearized.
        """
        raise InputError(f"a {type(self).__name__} cannot be linearized")

    @property
    def adaptive(self) -> bool:
        """Whether anything else than exact answers can be had; where not, all that are wanted are exact."""
        return False

    def choices(self) -> dict[str, str]:
        """What was chosen for the solution, and why."""
        return {}

    @property
    def solver(self) -> SolverChoice | None:
        """How linear systems are solved, where there are any."""
        return None

    def report(self) -> dict[str, float]:
        """Numbers of this rank since the model was made, by what the summary of a run calls them.

        Those whose names begin with "largest" are maxima, all others counts, which add up over the ranks.
        """
        return {}

    def behind(self, state: Array, gradient: Array, point: Point) -> tuple[MicroModel, Array, Array] | None:
        """The model that is asked where this one does not answer, its state and its gradient there.

        None where there is no other model.

        Raises:
            MicroSolveError: The other model's state has to be computed, and could not be.
        """
        return None

    def fields(self, state: Array) -> LocalFields:
        """Local fields of a state: displacement, gradient, flux and history of the cell behind this model.

        Raises:
            InputError: There is no cell.
            MicroSolveError: The state of the cell has to be computed, and could not be.
        """
        found = self.behind(state, self.kinematics.origin, NOWHERE)
        if found is None:
            raise InputError(f"a {type(self).__name__} has no local fields: there is no cell behind it")
        return found[0].fields(found[1])

    @property
    def unknowns(self) -> int:
        """Size of the problem of one point."""
        return 0

    @property
    def divisible(self) -> bool:
        """Whether several ranks can solve a point together."""
        return False

    def distributed(self, comm: MPI.Comm) -> Self:
        """This rank's part of the same model, solved by all ranks of a communicator, which call all methods.

        Its states are this rank's parts of whole states. Collective.
        """
        raise InputError(f"a {type(self).__name__} lives on one rank")

    @property
    def share(self) -> Ints:
        """Which words of a whole state this rank holds, shape (state_size,)."""
        return np.arange(self.state_size)


class Pointwise(MicroModel):
    """A micro model that answers one point at a time: a cell, an ordinary differential equation, a lattice.

    A subclass writes :meth:`respond`. The failure of a point is a MicroSolveError, or numbers that it breaks
    down on: an ArithmeticError such as ZeroDivisionError, numpy's LinAlgError, a MemoryError, PETSc.Error.

    Attributes:
        ranks: The ranks that solve a point together.
    """

    batch = 1
    ranks: MPI.Comm = MPI.COMM_SELF

    @abstractmethod
    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        """Flux and tangent of a point at the end of a time step.

        Args:
            gradient: Macroscopic gradient at the end of the step, shape (m,); not modified.
            committed: Committed state, shape (state_size,); not modified.
            trial: On entry the state of the last evaluation since the last commit or rollback, at first the
                committed one; receives the new state. Where anything but an exact answer is wanted, it stays
                as it is on failure.
            point: The point, with its parameters.
            step: The time step, and what is wanted.

        Raises:
            MicroSolveError: No equilibrium was found.
        """

    def evaluate(
        self, gradients: Array, committed: Array, trial: Array, points: Points, step: Step, answers: Answers
    ) -> None:
        """One point after the other."""
        for k in range(len(gradients)):
            try:
                with self._agreed(), breakdowns():
                    point = points.point(k)
                    answers.put(k, self.respond(gradients[k], committed[k], trial[k], point, step))
            except MicroSolveError as error:
                answers.fail(k, error)

    def _agreed(self) -> AbstractContextManager[None]:
        """What goes wrong inside on one rank is raised on all that solve a point together."""
        return nullcontext() if self.ranks.size == 1 else together(self.ranks)
