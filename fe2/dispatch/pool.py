"""The pool: evaluates the micro models of many points, which groups of ranks may exchange for balance."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.dispatch.assignment import best_plan, everything_moved, relieved
from fe2.dispatch.groups import groups_of
from fe2.dispatch.opaque import packed, unpacked
from fe2.dispatch.options import Parallel
from fe2.dispatch.placement import MoveTimer, Placement
from fe2.dispatch.rows import Rows
from fe2.dispatch.traffic import Traffic
from fe2.errors import Fe2Error, MicroSolveError
from fe2.micro.breakdown import breakdowns
from fe2.micro.model import MicroModel
from fe2.micro.points import Points, Step
from fe2.parallel import describe, on_every_rank, together
from fe2.response import NOT_ASKED, SOLVED, Answers
from fe2.unchanged import read_only, unchanged

Progress = Callable[[int, int], None]
"""Called with the number of points done and the number of all points of this rank."""


@dataclass(frozen=True)
class PointFailure:
    """The first point of all ranks that has no answer.

    Attributes:
        point: Its number among those of this rank, -1 where another rank owns it.
        kind: A MicroSolveError where it was not solved; anything else is a mistake in the program.
        message: What went wrong.
        cause: What was raised on this rank.
    """

    point: int
    kind: type[Fe2Error]
    message: str
    cause: Exception | None = None


class Pool:
    """Points of all ranks of a communicator, each solved by the group of ranks that holds its state.

    A rank owns the points of its macroscopic cells; their state rows may live elsewhere. Gradients
    travel to the group that holds the row, fluxes and tangents travel back, from rank to rank. A
    failure anywhere is one everywhere.

    Attributes:
        comm: The communicator.
        model: The micro model of all points, as it was handed over.
        progress: Called after every point that this rank solves.
        traffic: What was exchanged up to the last commit, all ranks together.
        failure: The first point of all ranks that has no answer in the last evaluation, or None.
    """

    def __init__(
        self, model: MicroModel, points: Points | int, comm: MPI.Comm, parallel: Parallel | None = None
    ) -> None:
        """All points start in the virgin state; collective.

        Args:
            model: The micro model of all points, the same on every rank.
            points: Points of this rank, of which there may be none; or only their number.
            comm: Communicator of all ranks that take part.
            parallel: Size of the groups, and balance.

        Raises:
            InputError: Groups of the size wanted are not possible.
        """
        points = points if isinstance(points, Points) else Points.numbered(points)
        self.comm, self.model, self._parallel = comm, model, parallel or Parallel()
        self.progress: Progress | None = None
        size = on_every_rank(comm, lambda: self._parallel.group_size(model, comm.size))
        self._groups = groups_of(comm, size)
        self._local = model
        lanes = [np.arange(model.state_size)]
        if size > 1 and model.divisible:
            self._local = part = model.distributed(self._groups.members)
            lanes = self._groups.members.allgather(part.share)
        self._starts = np.concatenate([[0], np.cumsum(comm.allgather(len(points)))])
        self._placement = Placement(
            self._groups,
            self._starts,
            self._first_groups(),
            lanes,
            self._local,
            points,
            shared=self._parallel.balance == "on" and model.dump_size is None,
        )
        self._placement.committed[:] = self._local.initial_state()
        self._timer = MoveTimer(8 * self._local.state_size)
        self._counted, self.traffic = Traffic(), Traffic()
        self.failure: PointFailure | None = None
        self._start_counting(np.zeros(len(self._placement.committed)))

    def evaluate(self, gradients: Array, step: Step) -> Answers:
        """Answers for this rank's gradients, shape (n, m), which hold until the next call; collective.

        Trial states are kept until then, too. Points that nobody asked any more after another one
        failed say so in their status; `failure` is the first one that has no answer.
        """
        start, place = time.perf_counter(), self._placement
        rows = place.work.rows
        place.routes.forward(gradients, rows.gradients)
        Answers.of(rows.answers, rows.shape.gradient).status[:] = NOT_ASKED
        place.work.begin()
        working = time.perf_counter()
        failed = self._solve_all(step)
        busy = time.perf_counter() - working
        place.work.end()
        answers = Answers.of(place.routes.backward(rows.answers), rows.shape.gradient)
        self.failure = self._first(failed)
        if self.failure is None:
            self._spent += Answers.of(rows.answers, rows.shape.gradient).cost
            self._counted += Traffic(
                evaluations=len(gradients),
                message_bytes=place.routes.take_bytes(),
                busy=busy,
                elapsed=time.perf_counter() - start,
            )
        return answers

    def commit(self) -> None:
        """Trial states become the committed ones; points may move to other groups; collective."""
        place = self._placement
        place.work.rows.complete()
        place.work.exchange()
        self._counted += Traffic(taken=place.work.taken)
        place.work.taken = 0
        self._start_counting(self._spent)
        self._keep()
        self._balance()
        self.traffic += self._counted.over_all(self.comm)
        self._counted = Traffic()

    def rollback(self) -> None:
        """Trial states are forgotten."""
        self._placement.work.rows.rollback()
        self._keep()

    @property
    def reporting(self) -> MicroModel | None:
        """The micro model that solves on this rank, or None where another of its group tells what it did."""
        return self._local if self._groups.leads else None

    @property
    def states(self) -> Array:
        """Committed states of this rank's points, shape (n, state_size), wherever they live; collective."""
        return self._placement.states()

    def fetch(self, points: Ints) -> Array:
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

    def stored(self) -> Array:
        """What has to be stored of this rank's committed states, shape (n, stored_size); collective."""
        if self.model.dump_size is None:
            return self.model.state.stored(self.states)
        place = self._placement
        with together(self.comm):
            rows = packed(self._local.dump(place.committed), self.model)
        return place.routes.backward(rows)

    def restore(self, states: Array) -> None:
        """Let points go on from what :meth:`stored` gave, shape (n, stored_size); collective."""
        place = self._placement
        if self.model.dump_size is None:
            place.committed[:] = self._local.initial_state()
            place.set_states(states, self.model.state.lasting)
        else:
            rows = np.empty((len(place.committed), states.shape[1]))
            place.routes.forward(states, rows)
            with together(self.comm):
                place.committed[:] = self._local.load(unpacked(rows))
        self.rollback()

    def describe(self) -> str:
        """How the points are spread, for people."""
        points, groups, ranks = int(self._starts[-1]), self._groups.count, self._groups.size
        choice = self._local.solver
        return (
            f"{points} point{'s' * (points != 1)} on {groups} group{'s' * (groups > 1)} of {ranks} "
            f"rank{'s' * (ranks > 1)}, balance {self._parallel.balance}"
            + (f"; cells: {choice.name}, as {choice.reason}" if choice else "")
        )

    def _first_groups(self) -> Ints:
        """Every point with its owner's group, but for those that would give a group more than its share."""
        homes = np.repeat(np.arange(self.comm.size) // self._groups.size, np.diff(self._starts))
        return relieved(np.ones(len(homes)), homes, self._groups.count)

    def _solve_all(self, step: Step) -> tuple[int, Exception] | None:
        """Solve what this rank can get; number and error of the first point that failed, if one did."""
        work, done = self._placement.work, 0
        count = len(work.rows.order)
        while (found := work.take()) is not None:
            rows, part = found
            try:
                with self._groups.agreed(), breakdowns():
                    errors = self._solve(rows, part, step)
            except Exception as error:  # of all these points; the first is named
                errors = {0: error}
            if self._groups.size > 1:
                errors = self._of_group(errors)
            if errors:
                work.stop()
                first = min(errors)
                return int(rows.numbers[part.start + first]), errors[first]
            done += part.stop - part.start
            if self.progress is not None and done <= count:
                self.progress(done, count)
        return None

    def _solve(self, rows: Rows, part: slice, step: Step) -> dict[int, Exception]:
        """Answer points where they lie in their tables; the errors of those that have no answer."""
        start = time.perf_counter()
        answers = Answers.of(rows.answers[part], rows.shape.gradient)
        answers.begin()
        points, trial = self._placement.points(rows, part), rows.begin(part)
        solved = np.zeros(len(points), dtype=bool)
        try:
            with unchanged(
                f"the micro model {type(self._local).__name__}", "the gradient or its committed state"
            ):
                given = read_only(rows.gradients[part]), read_only(rows.committed[part])
                self._local.evaluate(*given, trial, points, step, answers)
            answers.check()
            self._refuse_negative(given[0], answers)
            solved = answers.status == SOLVED
        finally:
            rows.end(part, solved, spoiled=step.wanted == "exact")
        answers.cost[:] = (time.perf_counter() - start) / len(points)
        return dict(answers.errors)

    def _refuse_negative(self, gradients: Array, answers: Answers) -> None:
        """Points whose absolute temperature, or the like, is not positive have no answer."""
        kinematics = self.model.kinematics
        for component in kinematics.positive.tolist():
            if (wrong := np.flatnonzero(gradients[:, component] <= 0.0)).size:
                value, name = gradients[wrong[0], component], kinematics.gradient_names[component]
                answers.fail(
                    wrong, MicroSolveError(f"{name} = {value:.6g} is not admissible; it must be positive")
                )

    def _of_group(self, errors: dict[int, Exception]) -> dict[int, Exception]:
        """The first error of all ranks of this group, so that all go on or none; collective in the group."""
        first = min(errors, default=-1)
        own = (first, _kind(errors[first]), describe(errors[first])) if errors else None
        found = [entry for entry in self._groups.members.allgather(own) if entry is not None]
        if not found:
            return {}
        number, kind, message = min(found, key=lambda entry: entry[0])
        return {number: errors.get(number, kind(message))}

    def _first(self, failed: tuple[int, Exception] | None) -> PointFailure | None:
        """The lowest point that failed on any rank, the same on all; collective."""
        number, error = failed or (int(self._starts[-1]), None)
        lowest = self.comm.allreduce(number * self.comm.size + self.comm.rank, op=MPI.MIN)
        point, rank = divmod(lowest, self.comm.size)
        if point == self._starts[-1]:
            return None
        kind, text = self.comm.bcast((_kind(error), describe(error)), root=rank)
        first, end = self._starts[self.comm.rank : self.comm.rank + 2]
        return PointFailure(int(point - first) if first <= point < end else -1, kind, text, error)

    def _start_counting(self, costs: Array) -> None:
        """Costs of the points held here are known, shape (held,); those of the next step start at zero.

        All ranks of a group take those that its first rank measured: they solve in the same order.
        """
        self._groups.members.Bcast(costs)
        self._costs, self._spent = costs, np.zeros(len(costs))
        self._placement.work.rows.schedule(costs if costs.any() else np.ones(len(costs)))

    def _keep(self) -> None:
        """Let a model that keeps states itself forget those that are not in use any more."""
        if self.model.dump_size is not None:
            self._local.keep(self._placement.committed)

    def _balance(self) -> None:
        """Move points to other groups where that pays; collective."""
        if self._groups.count == 1 or self._parallel.balance == "off" or self.model.dump_size is not None:
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

    def _wanted(self, costs: Array) -> Ints:
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


def _kind(error: Exception | None) -> type[Fe2Error]:
    """Class of an error on the other ranks: one of fe2's own."""
    return type(error) if isinstance(error, Fe2Error) else Fe2Error
