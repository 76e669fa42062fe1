"""Point-to-point messages between the ranks that own points and the groups that hold their rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.dispatch.groups import Groups


class Routes:
    """Which points travel between which ranks, for one assignment of points to groups.

    Points are numbered through all ranks. A message holds the points that two ranks have in common, in
    the order of their numbers, so no list of points is ever sent. Nothing goes through a third rank.

    Attributes:
        held: Numbers of the points that this rank's group holds, increasing.
    """

    def __init__(self, groups: Groups, starts: Ints, where: Ints) -> None:
        """Find out who exchanges what.

        Args:
            groups: The groups.
            starts: Number of the first point of each rank, and the number of all points, shape (ranks + 1,).
            where: Group that holds each point, shape (points,).
        """
        self._groups, self._comm = groups, groups.comm
        rank = self._comm.rank
        own = np.arange(starts[rank], starts[rank + 1])
        self.held: Ints = np.flatnonzero(where == groups.number)
        self._holders = by_rank(groups.ranks_of(where[own]))
        owners = np.searchsorted(starts, self.held, side="right") - 1
        self._owners = by_rank(owners)
        self._count = len(own)
        self._bytes = 0

    def forward(self, values: Array, out: Array) -> None:
        """Send rows of values of the own points, shape (own, w), to all ranks of the groups that hold them.

        Args:
            values: One row for each own point.
            out: Receives one row for each point that is held, shape (held, w).
        """
        received = self._owners if self._groups.leads else {}
        self._exchange(values, self._holders, out, received)
        if self._groups.size > 1:
            rows = np.ascontiguousarray(out)
            self._groups.members.Bcast(rows)
            out[:] = rows
            self._bytes += rows.nbytes * (self._groups.size - 1) * self._groups.leads

    def backward(self, values: Array) -> Array:
        """Return rows of values of the points that are held, shape (held, w), to their owners.

        Returns:
            One row for each own point, shape (own, w); of a single rank the values themselves.
        """
        if self._comm.size == 1:
            return values
        out = np.empty((self._count, values.shape[1]))
        self._exchange(values, self._owners if self._groups.leads else {}, out, self._holders)
        return out

    def take_bytes(self) -> int:
        """Bytes that this rank sent to others since the last call."""
        count, self._bytes = self._bytes, 0
        return count

    def _exchange(self, values: Array, sent: dict[int, Ints], out: Array, received: dict[int, Ints]) -> None:
        me = self._comm.rank
        buffers = {rank: np.empty((len(p), out.shape[1])) for rank, p in received.items() if rank != me}
        requests = [self._comm.Irecv(buffer, source=rank) for rank, buffer in buffers.items()]
        parts = {rank: values[places] for rank, places in sent.items() if rank != me}
        requests += [self._comm.Isend(part, dest=rank) for rank, part in parts.items()]
        self._bytes += sum(part.nbytes for part in parts.values())
        if me in sent:
            out[received[me]] = values[sent[me]]
        MPI.Request.Waitall(requests)
        for rank, buffer in buffers.items():
            out[received[rank]] = buffer


def by_rank(ranks: Ints) -> dict[int, Ints]:
    """Places in an array of ranks at which each rank stands, in increasing order."""
    order = np.argsort(ranks, kind="stable")
    found, first = np.unique(ranks[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, first[1:]), strict=True)) if len(ranks) else {}


def send_rows(
    comm: MPI.Comm, sent: Iterator[tuple[Array, int]], received: Iterator[tuple[Array, int]]
) -> int:
    """Send rows from where they stand and receive others where they belong, without copies.

    Args:
        comm: Communicator.
        sent: Rows, contiguous, with the rank that each goes to; in the order in which that rank takes them.
        received: Rows that are filled, with the rank that each comes from.

    Returns:
        Bytes sent.
    """
    requests = [comm.Irecv(row, source=rank) for row, rank in received]
    count = 0
    for row, rank in sent:
        requests.append(comm.Isend(row, dest=rank))
        count += row.nbytes
    MPI.Request.Waitall(requests)
    return count
