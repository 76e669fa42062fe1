"""A budget of full solves: they go where the estimated contribution to the macroscopic error is largest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.hierarchical.error_control import ErrorControlledRVE

if TYPE_CHECKING:
    from fe2.macro.law import HomogenizedLaw


class FullSolves:
    r"""Grants full solves to the points with the largest :math:`w_i\,\eta_i`.

    With the quadrature weight w and the estimated error η of the flux at the end of the last step, a point
    contributes at most :math:`w_i \eta_i \|g(v)\|` to the error of the macroscopic residual. The `budget`
    points with the largest contributions are solved in full in the next step; all others that have an
    estimate are answered by the reduced cell, whatever it is.

    A point without an estimate, whose gradient lies outside of the trained range, is always solved in full.
    One that had none in the last step may be wrong by any amount, so it comes before all that have one and
    takes its part of the budget. What leaves the range in the very step could not be foreseen: it comes on
    top, and the summary counts the full solves without an estimate.

    The choice is kept in the states of the points, so it moves with them and is part of checkpoints. It is
    called after each step, or before it where the load is set::

        choose = FullSolves(law, model, 10, comm)
        simulation = Simulation(problem, steps, observers=[choose])

    Before the first step nothing is known, so that step is reduced everywhere.
    """

    def __init__(self, law: HomogenizedLaw, model: ErrorControlledRVE, budget: int, comm: MPI.Comm) -> None:
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
        model.by_grant = True

    def __call__(self, time: float) -> None:
        """Choose the points of the next step; collective."""
        states = self._law.pool.states
        chosen = self._chosen(self._model.estimates(states))
        self._law.pool.restore(self._model.granted(states, chosen))

    def _chosen(self, estimates: Array) -> Ints:
        """This rank's points among those with the largest contributions; collective."""
        weights = self._law.weights()
        keys = np.column_stack([weights * estimates, weights, self._law.coordinates()])
        known = np.flatnonzero(estimates > 0.0)
        # the place decides between equal contributions, so that the choice does not depend on the ranks
        mine = sorted(((tuple(keys[point]), self._comm.rank, int(point)) for point in known), reverse=True)
        everyone = self._comm.allgather(mine[: self._budget])
        first = sorted((entry for part in everyone for entry in part), reverse=True)[: self._budget]
        return np.array([point for _, rank, point in first if rank == self._comm.rank], dtype=np.int64)
