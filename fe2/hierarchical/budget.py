"""A budget of full solves: they go where the estimated contribution to the macroscopic error is largest."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.dispatch.pool import MicroPool
from fe2.errors import InputError
from fe2.hierarchical.error_control import ErrorControlledRVE

Array = npt.NDArray[np.float64]


class WeightedLaw(Protocol):
    """What is needed of a homogenized law."""

    pool: MicroPool

    def weights(self) -> Array:
        """Volumes that this rank's points stand for, shape (n,)."""


class FullSolves:
    r"""Grants full solves to the points with the largest :math:`w_i\,\eta_i`.

    With the quadrature weight w and the estimated error η of the flux at the end of the last step, a point
    contributes at most :math:`w_i \eta_i \|g(v)\|` to the error of the macroscopic residual. The `budget`
    points with the largest contributions are solved in full in the next step; all others are answered by the
    reduced cell, whatever their estimate, but for points outside of the trained range. It is called after
    each step, or before it where the load is set; then a restart changes nothing::

        choose = FullSolves(law, model, 10, comm)
        simulation = Simulation(problem, steps, after_step=choose)

    Before the first step nothing is known, so that step is reduced everywhere.
    """

    def __init__(self, law: WeightedLaw, model: ErrorControlledRVE, budget: int, comm: MPI.Comm) -> None:
        """Take over the choice from the tolerance.

        Args:
            law: The homogenized law with the model at its points.
            model: The model.
            budget: Points, of all ranks, that are solved in full in each step.
            comm: Communicator of the law's mesh.

        Raises:
            InputError: The budget is negative.
        """
        if budget < 0:
            raise InputError(f"budget = {budget}: the number of points that may be solved in full is needed")
        self._law, self._model, self._budget, self._comm = law, model, budget, comm
        model.granted = frozenset()

    def __call__(self, time: float) -> None:
        """Choose the points of the next step; collective."""
        states = self._law.pool.states
        contributions = self._law.weights() * self._model.estimates(states)
        mine = np.argsort(-contributions, kind="stable")[: self._budget]
        own = [(float(contributions[k]), self._model.key(states[k])) for k in mine if contributions[k] > 0.0]
        everyone = sorted(entry for part in self._comm.allgather(own) for entry in part)
        self._model.granted = frozenset(key for _, key in everyone[::-1][: self._budget])
