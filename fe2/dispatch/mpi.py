"""The pool of a communicator: every rank solves the points that it owns, and all agree on failure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.dispatch.pool import Progress
from fe2.dispatch.serial import SerialPool
from fe2.micro.model import EXACT, MicroModel, Request
from fe2.parallel import on_every_rank
from fe2.response import Responses

Array = npt.NDArray[np.float64]


class MpiPool:
    """A serial pool on every rank of a communicator; a failure anywhere is one everywhere.

    Attributes:
        comm: The communicator.
    """

    def __init__(self, model: MicroModel, points: int, comm: MPI.Comm) -> None:
        """All points start in the virgin state; collective.

        Args:
            model: The micro model of this rank's points, the same on every rank.
            points: Number of points of this rank, which may be none.
            comm: Communicator of all ranks that take part.
        """
        self.comm = comm
        self._own = SerialPool(model, points)

    @property
    def model(self) -> MicroModel:
        """The micro model of all points."""
        return self._own.model

    @property
    def states(self) -> Array:
        """Committed states of this rank, shape (n, state_size); not to be modified."""
        return self._own.states

    @property
    def progress(self) -> Progress | None:
        """Called after every point of this rank."""
        return self._own.progress

    @progress.setter
    def progress(self, progress: Progress | None) -> None:
        self._own.progress = progress

    def evaluate(self, gradients: Array, dt: float, request: Request = EXACT) -> Responses:
        """Answers for this rank's gradients, shape (n, m); collective.

        Raises:
            PointError: On all ranks, where any point on any rank was not solved. On the rank that
                owns the point the error holds its number, on the others -1.
        """
        return on_every_rank(self.comm, lambda: self._own.evaluate(gradients, dt, request))

    def commit(self) -> None:
        """Trial states become the committed ones."""
        self._own.commit()

    def rollback(self) -> None:
        """Trial states are forgotten."""
        self._own.rollback()
