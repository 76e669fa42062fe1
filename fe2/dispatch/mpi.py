"""The pool of a communicator: points live with groups of ranks, which may exchange them for balance."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.dispatch.assignment import best_plan, everything_moved, relieved
from fe2.dispatch.groups import groups_of
from fe2.dispatch.options import Parallel
from fe2.dispatch.placement import MoveTimer, Placement
from fe2.dispatch.pool import PointError, Progress, solved
from fe2.dispatch.rows import responses_of
from fe2.dispatch.traffic import Traffic
from fe2.errors import OutsideRangeError
from fe2.micro.model import EXACT, MicroModel, Request
from fe2.micro.wrapper import is_divisible
from fe2.parallel import describe, on_every_rank
from fe2.response import Responses

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class MpiPool:
    """Points of all ranks of a communicator, each solved by the group of ranks that holds its state.

    A rank owns the points of its macroscopic cells; their state rows may live elsewhere. Gradients
    travel to the group that holds the row, fluxes and tangents travel back, from rank to rank. A
    failure anywhere is one everywhere.

    Attributes:
        comm: The communicator.
        model: The micro model of all points, as it was handed over.
        progress: Called after every point that this rank solves.
        traffic: What was exchanged up to the last commit, all ranks together.
    """

    def __init__(
        self, model: MicroModel, points: int, comm: MPI.Comm, parallel: Parallel | None = None
    ) -> None:
        """All points start in the virgin state; collective.

        Args:
            model: The micro model of all points, the same on every rank.
            points: Number of points of this rank, which may be none.
            comm: Communicator of all ranks that take part.
            parallel: Size of the groups, and balance.

        Raises:
            InputError: Groups of the size wanted are not possible.
        """
        self.comm, self.model, self._parallel = comm, model, parallel or Parallel()
        self.progress: Progress | None = None
        size = on_every_rank(comm, lambda: self._parallel.group_size(model, comm.size))
        self._groups = groups_of(comm, size)
        self._local = model
        lanes = [np.arange(model.state_size)]
        if size > 1 and is_divisible(model):
            self._local = part = model.distributed(self._groups.members)
            lanes = self._groups.members.allgather(part.share)
        self._starts = np.concatenate([[0], np.cumsum(comm.allgather(points))])
        self._placement = Placement(
            self._groups,
            self._starts,
            self._first_groups(),
            lanes,
            model.kinematics.size,
            shared=self._parallel.balance == "on",
        )
        self._placement.committed[:] = self._local.initial_state()
        self._timer = MoveTimer(8 * self._local.state_size)
        self._counted, self.traffic = Traffic(), Traffic()
        self._start_counting(np.zeros(len(self._placement.committed)))

    def evaluate(self, gradients: Array, dt: float, request: Request = EXACT) -> Responses:
        """Answers for this rank's gradients, shape (n, m); collective.

        Raises:
            PointError: On all ranks, where any point on any rank was not solved. On the rank that
                owns the point the error holds its number, on the others -1.
        """
        start, place = time.perf_counter(), self._placement
        place.routes.forward(gradients, place.work.rows.gradients)
        place.work.begin()
        working = time.perf_counter()
        failed, failure = self._solve_all(dt, request)
        busy = time.perf_counter() - working
        place.work.end()
        self._raise_failure(failed, failure)
        self._spent += place.work.rows.answers[:, -1]
        answers = place.routes.backward(place.work.rows.answers)
        self._counted += Traffic(
            evaluations=len(gradients),
            message_bytes=place.routes.take_bytes(),
            busy=busy,
            elapsed=time.perf_counter() - start,
        )
        return responses_of(answers, self.model.kinematics.size)

    def commit(self) -> None:
        """Trial states become the committed ones; points may move to other groups; collective."""
        place = self._placement
        place.work.rows.complete()
        place.work.exchange()
        self._counted += Traffic(taken=place.work.taken)
        place.work.taken = 0
        self._start_counting(self._spent)
        self._balance()
        self.traffic += self._counted.over_all(self.comm)
        self._counted = Traffic()

    def rollback(self) -> None:
        """Trial states are forgotten."""
        self._placement.work.rows.rollback()

    @property
    def reporting(self) -> MicroModel | None:
        """The micro model that solves on this rank, or None where another of its group tells what it did."""
        return self._local if self._groups.leads else None

    @property
    def states(self) -> Array:
        """Committed states of this rank's points, shape (n, state_size), wherever they live; collective."""
        return self._placement.states()

    def fetch(self, points: Indices) -> Array:
        """Committed states of some of this rank's points, by their numbers, (k, state_size); collective."""
        return self._placement.states_of(self._starts[self.comm.rank] + np.asarray(points, dtype=np.int64))

    def averages(self) -> dict[str, Array]:
        """Volume averages of the history variables of this rank's points, by name, (n, c); collective."""
        found = self._local.averages(self._placement.committed)
        if not found:
            return {}
        ends = np.cumsum([values.shape[1] for values in found.values()])
        table = self._placement.routes.backward(np.column_stack(list(found.values())))
        return dict(zip(found, np.split(table, ends[:-1], axis=1), strict=True))

    def costs(self) -> Array:
        """Seconds that each of this rank's points took in the last load step, shape (n,); collective."""
        return self._placement.routes.backward(self._costs[:, None])[:, 0]

    def restore(self, states: Array) -> None:
        """Let points go on from stored states, shape (n, lasting size of the model); collective."""
        self._placement.committed[:] = self._local.initial_state()
        self._placement.set_states(states)
        self.rollback()

    def describe(self) -> str:
        """How the points are spread, for people."""
        ranks = self._groups.size
        choice = getattr(self._local, "solver", None)
        return (
            f"{self._starts[-1]} points on {self._groups.count} groups of {ranks} "
            f"rank{'s' * (ranks > 1)}, balance {self._parallel.balance}"
            + (f"; cells: {choice.name}, as {choice.reason}" if choice else "")
        )

    def _first_groups(self) -> Indices:
        """Every point with its owner's group, but for those that would give a group more than its share."""
        homes = np.repeat(np.arange(self.comm.size) // self._groups.size, np.diff(self._starts))
        return relieved(np.ones(len(homes)), homes, self._groups.count)

    def _solve_all(self, dt: float, request: Request) -> tuple[int, Exception | None]:
        """Solve what this rank can get; number and error of the point that failed, if one did."""
        work, done = self._placement.work, 0
        count = len(work.rows.order)
        while (found := work.take()) is not None:
            rows, point = found
            try:
                with self._groups.agreed():
                    solved(self._local, rows, point, dt, request)
            except Exception as error:  # a micro model may fail in any way; the point is named
                work.stop()
                return int(rows.numbers[point]), error
            done += 1
            if self.progress is not None and done <= count:
                self.progress(done, count)
        return int(self._starts[-1]), None

    def _raise_failure(self, failed: int, failure: Exception | None) -> None:
        """Raise on all ranks the error of the lowest point that failed; collective."""
        lowest = self.comm.allreduce(failed * self.comm.size + self.comm.rank, op=MPI.MIN)
        point, rank = divmod(lowest, self.comm.size)
        if point == self._starts[-1]:
            return
        mine = ("" if failure is None else describe(failure), isinstance(failure, OutsideRangeError))
        text, outside = self.comm.bcast(mine, root=rank)
        first, end = self._starts[self.comm.rank : self.comm.rank + 2]
        error = PointError(text, int(point - first) if first <= point < end else -1, outside=outside)
        error.collective = True
        raise error from failure

    def _start_counting(self, costs: Array) -> None:
        """Costs of the points held here are known, shape (held,); those of the next step start at zero.

        All ranks of a group take those that its first rank measured: they solve in the same order.
        """
        self._groups.members.Bcast(costs)
        self._costs, self._spent = costs, np.zeros(len(costs))
        self._placement.work.rows.schedule(costs if costs.any() else np.ones(len(costs)))

    def _balance(self) -> None:
        """Move points to other groups where that pays; collective."""
        if self._groups.count == 1 or self._parallel.balance == "off":
            return
        costs, before = self._placement.of_all(self._costs), self._placement
        where = self._wanted(costs)
        moved = int(np.count_nonzero(where != before.where))
        if moved == 0:
            return
        self._placement = self._timer.move(before, where, self.comm)
        self._start_counting(costs[self._placement.routes.held])
        self._counted += Traffic(
            moved=moved if self.comm.rank == 0 else 0, row_bytes=self._placement.bytes_sent
        )

    def _wanted(self, costs: Array) -> Indices:
        """The assignment for the next load step; collective."""
        where, groups = self._placement.where, self._groups
        if self._parallel.balance == "always":
            return everything_moved(where, groups.count)
        shares = groups.node if self._parallel.balance == "on" else np.arange(groups.count)
        # one rank decides: processors of different kinds may round differently
        plan = None
        if self.comm.rank == 0:
            plan = best_plan(costs, where, shares, self._timer.seconds_per_row)
        if self.comm.bcast(plan.moved if plan else 0) == 0:
            return where
        chosen = plan.groups if plan else np.empty_like(where)
        self.comm.Bcast(chosen)
        return chosen
