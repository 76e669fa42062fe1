"""A micro model around another one: it hands everything on, and adds what it is there for.

Its state is the other one's, with fields of its own behind, so that the front of a row is still that of the
model, from which its local fields follow.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array, Ints, Mask
from fe2.micro.model import MicroModel
from fe2.micro.points import NOWHERE, Point, Points, Step
from fe2.micro.state import StateField
from fe2.physics.kinematics import Kinematics
from fe2.records import SolverChoice, merged
from fe2.response import Answers


class Wrapper(MicroModel):
    """A micro model that answers as another one does, to all that this one can be asked; a base class.

    A subclass overrides what it changes.

    Attributes:
        model: The other micro model.
    """

    _whole: Self | None = None

    def __init__(self, model: MicroModel, own: Sequence[StateField] = ()) -> None:
        """Wrap a model, and add fields to its state."""
        self.model, self.parameters = model, model.parameters
        self.batch = model.batch
        self.state = model.state.with_fields(own)
        if model.dump_size is not None:
            self.dump_size = model.dump_size + 8 * self._own_words

    @abstractmethod
    def around(self, *models: MicroModel) -> Self:
        """The same around other models, as many as are :attr:`wrapped`."""

    @property
    def wrapped(self) -> tuple[MicroModel, ...]:
        """All models that may be asked."""
        return (self.model,)

    def inner(self, states: Array) -> Array:
        """The model's part of states of shape (..., state_size), a view."""
        return states[..., : self.model.state_size]

    @property
    def _own_words(self) -> int:
        return self.state_size - self.model.state_size

    def dump(self, states: Array) -> list[bytes]:
        """The own fields, and what the model makes of its part."""
        own = np.ascontiguousarray(states[:, self.model.state_size :])
        return [
            row.tobytes() + part for row, part in zip(own, self.model.dump(self.inner(states)), strict=True)
        ]

    def load(self, contents: Sequence[bytes]) -> Array:
        """Rows of what was dumped."""
        end = 8 * self._own_words
        own = np.frombuffer(b"".join(content[:end] for content in contents)).reshape(len(contents), -1)
        return np.hstack([self.model.load([content[end:] for content in contents]), own])

    def keep(self, states: Array) -> None:
        """The model's parts that are still in use."""
        self.model.keep(self.inner(states))

    def evaluate(
        self, gradients: Array, committed: Array, trial: Array, points: Points, step: Step, answers: Answers
    ) -> None:
        """What the model answers; own fields of `trial` stay as they are."""
        self.model.evaluate(gradients, self.inner(committed), self.inner(trial), points, step, answers)

    @property
    def kinematics(self) -> Kinematics:  # type: ignore[override]
        """Names and sizes of gradient and flux."""
        return self.model.kinematics

    def initial_state(self) -> Array:
        """The model's, and the own fields."""
        state = self.state.initial()
        self.inner(state)[:] = self.model.initial_state()
        return state

    def check_points(self, points: Points) -> None:
        """Those that the model cannot answer."""
        self.model.check_points(points)

    def averages(self, states: Array) -> dict[str, Array]:
        """Volume averages of the model's history variables."""
        return self.model.averages(self.inner(states))

    def virgin_tangent(self, point: Point = NOWHERE) -> Array:
        """That of the model."""
        return self.model.virgin_tangent(point)

    @property
    def description(self) -> dict[str, Any]:
        """What the model is."""
        return self.model.describe()

    @property
    def period(self) -> Array | None:
        """Edge lengths of the model's cell."""
        return self.model.period

    @property
    def adaptive(self) -> bool:
        """Whether the model can be asked for anything else than exact answers."""
        return self.model.adaptive

    def choices(self) -> dict[str, str]:
        """How the model is solved, and why."""
        return self.model.choices()

    @property
    def solver(self) -> SolverChoice | None:
        """How the model's linear systems are solved."""
        return self.model.solver

    def report(self) -> dict[str, float]:
        """What the models report."""
        return merged(model.report() for model in self.wrapped)

    def behind(self, state: Array, gradient: Array, point: Point) -> tuple[MicroModel, Array, Array] | None:
        """The model, and its part of a state."""
        return self.model, self.inner(state), gradient

    @property
    def unknowns(self) -> int:
        """Size of the problem, the largest one of all models."""
        return max(model.unknowns for model in self.wrapped)

    @property
    def divisible(self) -> bool:
        """Whether several ranks can solve a point of any of the models together."""
        return all(model.divisible for model in self.wrapped)

    def distributed(self, comm: MPI.Comm) -> Self:
        """This rank's part of the same model, solved by all ranks of a communicator; collective."""
        part = self.around(*(model.distributed(comm) for model in self.wrapped))
        part._whole = self
        return part

    @property
    def share(self) -> Ints:
        """Which words of a whole state this rank holds, shape (state_size,); its own fields as a whole."""
        whole = self._whole or self
        return np.concatenate([self.model.share, np.arange(whole.model.state_size, whole.state_size)])


def evaluate_some(
    model: MicroModel,
    chosen: Mask,
    gradients: Array,
    committed: Array,
    trial: Array,
    points: Points,
    step: Step,
    answers: Answers,
) -> None:
    """As :meth:`fe2.micro.model.MicroModel.evaluate`, for some of the points."""
    if chosen.all():
        model.evaluate(gradients, committed, trial, points, step, answers)
    elif chosen.any():
        rows = np.flatnonzero(chosen)
        found, states = Answers.empty(len(rows), gradients.shape[1]), trial[rows]
        model.evaluate(gradients[rows], committed[rows], states, points[rows], step, found)
        trial[rows] = states
        answers.take(rows, found)
