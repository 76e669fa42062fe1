"""The work of an evaluation: the points of this rank's group, then those that wait at its neighbours.

Neighbours are groups of the same node. Each group has a counter of the points that were taken from its
list, so a point is solved once, by its own group or by one that has nothing left to do; it is solved
where it lies, in memory that the processes of the node share.
"""

from __future__ import annotations

import numpy as np

from fe2.arrays import Ints
from fe2.dispatch.groups import Groups
from fe2.dispatch.rows import Rows, Shape
from fe2.dispatch.shared_memory import SharedBlock


class OwnWork:
    """Hands out the points of one evaluation after the other, to a group that works for itself.

    Attributes:
        rows: Tables of the points that this rank's group holds.
        taken: Points of other groups that this one has solved so far.
    """

    def __init__(self, shape: Shape, batch: int | None) -> None:
        """Tables for the points of this rank, of which so many are handed out together, or all."""
        self.rows, self.taken = Rows.private(shape), 0
        self._next, self._batch = 0, batch or max(1, shape.points)

    def begin(self) -> None:
        """Points may be handed out."""
        self._next = 0

    def take(self) -> tuple[Rows, slice] | None:
        """The next points and the tables that they stand in, or None where nothing waits.

        One after the other the most expensive come first.
        """
        start, count = self._next, len(self.rows.order)
        if start >= count:
            return None
        self._next = min(start + self._batch, count)
        if self._batch == 1:
            start = int(self.rows.order[start])
            return self.rows, slice(start, start + 1)
        return self.rows, slice(start, self._next)

    def stop(self) -> None:
        """No further points."""
        self._next = len(self.rows.order)

    def end(self) -> None:
        """All answers are there."""

    def exchange(self) -> None:
        """Trial rows become the committed ones."""
        self.rows.exchange()


class SharedWork:
    """The same for groups of one node that take points from each other."""

    def __init__(self, groups: Groups, shape: Shape) -> None:
        """Tables in shared memory, mapped by all neighbours; collective over them."""
        assert groups.neighbours is not None
        self._groups, self._comm, self.taken = groups, groups.neighbours, 0
        self._me = self._comm.rank
        own = SharedBlock.create(max(8, 8 * shape.numbers))
        counters = SharedBlock.create(8 * self._comm.size) if self._me == 0 else None
        places = self._comm.allgather((own.place, shape, counters.place if counters else ""))
        blocks = [
            own if rank == self._me else SharedBlock.open(place, max(8, 8 * other.numbers))
            for rank, (place, other, _) in enumerate(places)
        ]
        self._all = [
            Rows(np.frombuffer(block.memory, dtype=np.float64), other)
            for block, (_, other, _) in zip(blocks, places, strict=True)
        ]
        self._tickets = counters or SharedBlock.open(places[0][2], 8 * self._comm.size)
        self.rows = self._all[self._me]
        self._comm.Barrier()  # everybody has opened what the others may close now

    def begin(self) -> None:
        """Points may be handed out; collective."""
        self._tickets.counters[self._me] = 0
        self._comm.Barrier()

    def take(self) -> tuple[Rows, slice] | None:
        """The next point of this group, or the longest waiting one of the group with the most to do."""
        found = np.array(self._draw() if self._groups.leads else (0, 0), dtype=np.int64)
        if self._groups.size > 1:
            self._groups.members.Bcast(found)
        owner, place = found.tolist()
        if owner < 0:
            return None
        self.taken += owner != self._me and self._groups.leads
        rows = self._all[owner]
        point = int(rows.order[place])
        return rows, slice(point, point + 1)

    def _draw(self) -> tuple[int, int]:
        owner = self._me
        while owner >= 0:
            place = self._tickets.fetch_and_add(owner)
            if place < len(self._all[owner].order):
                return owner, place
            owner = self._busiest()
        return -1, -1

    def _busiest(self) -> int:
        """The neighbour with the most waiting work, or -1."""
        waiting = [
            rows.waiting[place] if place < len(rows.waiting) else 0.0
            for rows, place in zip(self._all, self._next(), strict=True)
        ]
        return int(np.argmax(waiting)) if max(waiting) > 0.0 else -1

    def _next(self) -> Ints:
        return self._tickets.counters.copy()

    def stop(self) -> None:
        """No further points on this node."""
        self._tickets.counters[:] = np.iinfo(np.int64).max // 2

    def end(self) -> None:
        """Wait for what neighbours have taken; collective."""
        self._comm.Barrier()

    def exchange(self) -> None:
        """Trial rows become the committed ones, in every process's view of them; collective."""
        for rows in self._all:
            rows.exchange()


type Work = OwnWork | SharedWork


def work_of(groups: Groups, shape: Shape, batch: int | None, *, shared: bool) -> Work:
    """Work for this rank; single points are shared with neighbours where that is wanted and there are any."""
    if shared and batch == 1 and groups.neighbours is not None:
        return SharedWork(groups, shape)
    return OwnWork(shape, batch)
