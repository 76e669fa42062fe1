"""A micro model around another one: it hands everything on, and adds what it is there for.

Its state is the other one's, with numbers of its own between what lasts and what only saves work:

.. code-block:: text

    lasting part of the model | own numbers ‖ tail of the model

so that the front of a state is still that of the model, from which its local fields follow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self, TypeGuard, cast

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.micro.model import (
    EXACT,
    DivisibleModel,
    MicroModel,
    PartialModel,
    Request,
    answer,
    choices,
    description,
    fields,
    is_adaptive,
    report,
    virgin_tangent,
)
from fe2.physics.kinematics import Kinematics
from fe2.records import SolverChoice, merged
from fe2.response import Response

if TYPE_CHECKING:
    from fe2.micro.fields import LocalFields

Array = npt.NDArray[np.float64]


class Wrapper(ABC):
    """A micro model that answers as another one does, to all that this one can be asked; a base class.

    A subclass overrides what it changes, :meth:`answer` for the answers to all requests.

    Attributes:
        model: The other micro model.
        own: Where the numbers of the wrapper itself stand in a state.
        ranks: The ranks that solve a point together.
    """

    ranks: MPI.Comm = MPI.COMM_SELF
    _whole: Self | None = None

    def __init__(self, model: MicroModel, own: int = 0) -> None:
        """Wrap a model, and add so many numbers to its state."""
        self.model = model
        self.own = slice(model.lasting_size, model.lasting_size + own)

    @abstractmethod
    def around(self, *models: MicroModel) -> Self:
        """The same around other models, as many as are :attr:`wrapped`."""

    @property
    def wrapped(self) -> tuple[MicroModel, ...]:
        """All models that may be asked."""
        return (self.model,)

    def virgin_tangent(self) -> Array:
        """That of the model."""
        return virgin_tangent(self.model)

    @property
    def kinematics(self) -> Kinematics:
        """Names and sizes of gradient and flux."""
        return self.model.kinematics

    @property
    def state_size(self) -> int:
        """Numbers that one quadrature point remembers."""
        return self.model.state_size + self._added

    @property
    def lasting_size(self) -> int:
        """Numbers that a checkpoint stores."""
        return self.model.lasting_size + self._added

    @property
    def description(self) -> dict[str, Any]:
        """What the model is, as facts that can be stored and compared."""
        return description(self.model)

    @property
    def adaptive(self) -> bool:
        """Whether the model tells requests apart."""
        return is_adaptive(self.model)

    def initial_state(self) -> Array:
        """The model's, and zeros."""
        return np.insert(self.model.initial_state(), self.own.start, np.zeros(self._added))

    def inner(self, states: Array) -> Array:
        """The model's part of states of shape (..., state_size), a copy."""
        return np.delete(states, self.own, axis=-1)

    def solve(self, gradient: Array, state: Array, dt: float, out: Array) -> Response:
        """See :meth:`fe2.micro.model.MicroModel.solve`."""
        return self.answer(gradient, state, dt, out, EXACT)

    def answer(self, gradient: Array, state: Array, dt: float, out: Array, request: Request) -> Response:
        """See :meth:`fe2.micro.model.AdaptiveModel.answer`; the own numbers of `out` stay as they are."""
        row, lasting = self.inner(out), self.own.start
        response = answer(self.model, gradient, self.inner(state), dt, row, request)
        out[:lasting], out[self.own.stop :] = row[:lasting], row[lasting:]
        return response

    def averages(self, states: Array) -> dict[str, Array]:
        """Volume averages of the model's history variables."""
        return self.model.averages(self.inner(states))

    def report(self) -> dict[str, float]:
        """What the models report."""
        return merged(map(report, self.wrapped))

    def choices(self) -> dict[str, str]:
        """How the model is solved, and why."""
        return choices(self.model)

    @property
    def solver(self) -> SolverChoice | None:
        """How the model's linear systems are solved, where it has any."""
        choice: SolverChoice | None = getattr(self.model, "solver", None)
        return choice

    def behind(self, state: Array) -> tuple[MicroModel, Array]:
        """The model, and its part of a state."""
        return self.model, self.inner(state)

    def fields(self, state: Array) -> LocalFields:
        """Local fields of a state, of the cell that is behind this model.

        Raises:
            InputError: There is no cell.
        """
        return fields(*self.behind(state))

    @property
    def unknowns(self) -> int:
        """Size of the problem, the largest one of all models."""
        return max(getattr(model, "unknowns", 0) for model in self.wrapped)

    def distributed(self, comm: MPI.Comm) -> Self:
        """This rank's part of the same model, solved by all ranks of a communicator; collective."""
        part = self.around(*(model.distributed(comm) for model in self.wrapped if is_divisible(model)))
        part.ranks, part._whole = comm, self
        return part

    @property
    def share(self) -> npt.NDArray[np.int64]:
        """Which numbers of a whole state this rank holds, shape (state_size,)."""
        share = cast(PartialModel, self.model).share
        whole = (self._whole or self).own
        lasting = share < whole.start
        own = np.arange(whole.start, whole.stop)
        return np.concatenate([share[lasting], own, share[~lasting] + self._added])

    @property
    def _added(self) -> int:
        return int(self.own.stop - self.own.start)


def is_divisible(model: MicroModel) -> TypeGuard[DivisibleModel]:
    """Whether several ranks can solve a micro model together: a wrapper's, where all of its models can."""
    if isinstance(model, Wrapper):
        return all(map(is_divisible, model.wrapped))
    return isinstance(model, DivisibleModel)
