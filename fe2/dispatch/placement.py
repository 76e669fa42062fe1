"""Where points live: the state rows of a rank's group, and how rows travel to other groups and home."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.dispatch.groups import Groups
from fe2.dispatch.routes import Routes, send_rows
from fe2.dispatch.rows import Rows, Shape
from fe2.dispatch.work import Work, work_of
from fe2.micro.model import MicroModel
from fe2.micro.points import Points


class Placement:
    """The rows of the points that a group holds, for one assignment of points to groups.

    Points are numbered through all ranks, those of a rank one after the other. Of a whole state, each
    rank of a group holds the numbers that its lane says: all of them in a group of one.

    Attributes:
        where: Group of each point of all ranks.
        routes: Messages between the owners of points and their holders.
        work: Hands out the points of this rank's group.
        bytes_sent: Bytes of rows sent to make this placement.
    """

    def __init__(
        self,
        groups: Groups,
        starts: Ints,
        where: Ints,
        lanes: list[Ints],
        model: MicroModel,
        points: Points,
        *,
        shared: bool,
    ) -> None:
        """Make room for the rows; collective.

        Args:
            groups: The groups.
            starts: Number of the first point of each rank, and the number of all points, shape (ranks + 1,).
            where: Group of each point.
            lanes: The numbers of a whole state that each rank of a group holds.
            model: The micro model, or this rank's part of it.
            points: The points that this rank owns.
            shared: Whether groups of a node may take points from each other.
        """
        self._groups, self._starts, self.where, self._lanes = groups, starts, where, lanes
        self._model, self._points, self._shared = model, points, shared
        self.routes = Routes(groups, starts, where)
        facts = [points.coordinates, *points.parameters.values()]
        columns = [v.reshape(len(points), math.prod(v.shape[1:])) for v in facts]
        known = np.column_stack([points.number.view(np.float64), *columns])
        shape = Shape(
            len(self.routes.held), model.state_size, model.kinematics.size, facts=known.shape[1] - 1
        )
        self.work: Work = work_of(groups, shape, model.batch, shared=shared)
        rows = self.work.rows
        rows.numbers[:] = self.routes.held
        received = np.empty((len(rows.numbers), known.shape[1]))
        self.routes.forward(known, received)
        rows.identities[:], rows.facts[:] = received[:, 0].view(np.int64), received[:, 1:]
        self.bytes_sent = 0

    @property
    def committed(self) -> Array:
        """Committed rows of the points held here, this rank's part of them."""
        return self.work.rows.committed

    @property
    def own(self) -> Ints:
        """Numbers of the points that this rank owns."""
        rank = self._groups.comm.rank
        return np.arange(self._starts[rank], self._starts[rank + 1])

    def moved(self, where: Ints) -> Placement:
        """The same rows under another assignment; collective. This placement is not to be used any more."""
        groups, held = self._groups, self.routes.held
        new = Placement(
            groups, self._starts, where, self._lanes, self._model, self._points, shared=self._shared
        )
        stay = self.where[new.routes.held] == groups.number
        new.committed[stay] = self.committed[self._rows_of(new.routes.held[stay])]
        gone, come = held[where[held] != groups.number], new.routes.held[~stay]
        targets = groups.ranks_of(where[gone]) + groups.lane
        sources = groups.ranks_of(self.where[come]) + groups.lane
        new.bytes_sent = send_rows(
            groups.comm,
            zip((self.committed[row] for row in self._rows_of(gone)), targets.tolist(), strict=True),
            zip((new.committed[row] for row in new._rows_of(come)), sources.tolist(), strict=True),
        )
        return new

    def of_all(self, values: Array) -> Array:
        """Values of the points held here, shape (held,), as those of all points on all ranks; collective."""
        comm = self._groups.comm
        own = values if self._groups.leads else values[:0]
        counts = np.bincount(self._groups.ranks_of(self.where), minlength=comm.size)
        gathered = np.empty(len(self.where))
        comm.Allgatherv(own, (gathered, counts.tolist()))
        result = np.empty_like(gathered)
        result[np.argsort(self.where, kind="stable")] = gathered
        return result

    def states(self) -> Array:
        """Whole committed states of all points that this rank owns; collective."""
        if self._groups.comm.size == 1:
            return self.committed
        return self._fetch(self.own, enumerate(self._owners()))

    def states_of(self, points: Ints) -> Array:
        """Whole committed states of some of the points that this rank owns, by their numbers; collective."""
        asked = [
            (int(row), rank)
            for rank, numbers in enumerate(self._groups.comm.allgather(points))
            for row in self._rows_of(numbers[self.where[numbers] == self._groups.number])
        ]
        return self._fetch(points, asked)

    def set_states(self, states: Array, words: Ints) -> None:
        """Give the points that this rank owns some words of whole committed states; collective.

        Args:
            states: Values of the words, shape (own points, words).
            words: Which words of a whole state these are, increasing.
        """
        chosen = [lane[np.isin(lane, words)] for lane in self._lanes]
        parts = [np.ascontiguousarray(states[:, np.searchsorted(words, lane)]) for lane in chosen]
        holders = self._groups.ranks_of(self.where[self.own]).tolist()
        mine = np.flatnonzero(np.isin(self._lanes[self._groups.lane], words))
        rows = np.empty((len(self.committed), len(mine)))
        send_rows(
            self._groups.comm,
            ((part[k], holder + j) for k, holder in enumerate(holders) for j, part in enumerate(parts)),
            zip(rows, self._owners(), strict=True),
        )
        self.committed[:, mine] = rows

    def points(self, rows: Rows, part: slice) -> Points:
        """Some of the points in tables."""
        dim, parameters = self._points.coordinates.shape[1], {}
        facts, end = rows.facts[part], dim
        for name, values in self._points.parameters.items():
            start, end = end, end + math.prod(values.shape[1:])
            parameters[name] = facts[:, start:end].reshape(len(facts), *values.shape[1:])
        return Points(rows.identities[part], facts[:, :dim], parameters)

    def _fetch(self, points: Ints, asked: Iterable[tuple[int, int]]) -> Array:
        """Whole states of points, by number; `asked` are rows held here, with the ranks that want them."""
        parts = [np.empty((len(points), len(lane))) for lane in self._lanes]
        holders = self._groups.ranks_of(self.where[points]).tolist()
        send_rows(
            self._groups.comm,
            ((self.committed[row], rank) for row, rank in asked),
            ((part[k], holder + j) for k, holder in enumerate(holders) for j, part in enumerate(parts)),
        )
        states = np.empty((len(points), 1 + max(int(lane.max(initial=-1)) for lane in self._lanes)))
        for lane, part in zip(self._lanes, parts, strict=True):
            states[:, lane] = part
        return states

    def _rows_of(self, numbers: Ints) -> Ints:
        """Rows in this rank's tables of points that its group holds."""
        return np.searchsorted(self.routes.held, numbers)

    def _owners(self) -> list[int]:
        """Rank that owns each point that is held here."""
        owners: list[int] = (np.searchsorted(self._starts, self.routes.held, side="right") - 1).tolist()
        return owners


class MoveTimer:
    """Measures how long a group takes to send or receive a row.

    Attributes:
        seconds_per_row: The measured time, at first that of a usual network.
    """

    def __init__(self, row_bytes: int, bandwidth: float = 1e9) -> None:
        """Guess from the length of a row and bytes a second."""
        self.seconds_per_row = row_bytes / bandwidth

    def move(self, placement: Placement, where: Ints, comm: MPI.Comm) -> Placement:
        """Move points to the groups of another assignment, and measure; collective."""
        start = time.perf_counter()
        out = np.bincount(placement.where[placement.where != where])
        new = placement.moved(where)
        seconds = comm.allreduce(time.perf_counter() - start, op=MPI.MAX)
        self.seconds_per_row = seconds / int(out.max())
        return new
