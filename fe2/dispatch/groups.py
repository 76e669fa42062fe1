"""Groups of ranks, each of which solves its cells together, and which of them share a node."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import cast

import numpy as np
from mpi4py import MPI

from fe2.arrays import Ints
from fe2.dispatch.shared_memory import SharedBlock
from fe2.parallel import together


@dataclass(frozen=True, eq=False)
class Groups:
    """The ranks of a communicator in groups of equal size; group g holds the ranks g k, ..., g k + k - 1.

    Attributes:
        comm: The communicator.
        size: Number k of ranks of a group.
        count: Number of groups.
        number: This rank's group.
        lane: This rank's number in its group.
        members: Communicator of this rank's group.
        neighbours: Communicator of the ranks with this lane in the groups of this node, whose memory can
            be shared, or None where there are no others.
        node: For each group the number of its node, shape (count,); different for groups that cannot
            share memory with others.
    """

    comm: MPI.Comm
    size: int
    count: int
    number: int
    lane: int
    members: MPI.Comm
    neighbours: MPI.Comm | None
    node: Ints

    @property
    def leads(self) -> bool:
        """Whether this rank speaks for its group."""
        return self.lane == 0

    def agreed(self) -> AbstractContextManager[None]:
        """What goes wrong inside on one rank of the group is raised on all of them."""
        return nullcontext() if self.size == 1 else together(self.members)

    def ranks_of(self, groups: Ints) -> Ints:
        """First rank of each of some groups."""
        return groups * self.size


def _free(comm: MPI.Comm, key: int, groups: dict[int, Groups]) -> None:
    """Free what was split from a communicator that is itself freed."""
    for found in groups.values():
        for part in (found.members, found.neighbours):
            if part is not None and part not in (MPI.COMM_SELF, comm):
                part.Free()


_KEY = MPI.Comm.Create_keyval(delete_fn=_free)
"""Groups are remembered at their communicator: many pools share them, and they are freed with it."""


def groups_of(comm: MPI.Comm, size: int) -> Groups:
    """Groups of `size` ranks of a communicator, which that number divides; collective."""
    if comm.Get_attr(_KEY) is None:
        comm.Set_attr(_KEY, {})  # set once: to set it again would free what it holds
    known = cast(dict[int, Groups], comm.Get_attr(_KEY))
    if size not in known:
        # a handle of its own: DOLFINx's holds the mesh, which would hold itself through what is kept here
        known[size] = _split(MPI.Intracomm.fromhandle(comm.handle), size)
    return known[size]


def _split(comm: MPI.Comm, size: int) -> Groups:
    number, lane = divmod(comm.rank, size)
    count = comm.size // size
    members = MPI.COMM_SELF if size == 1 else comm.Split(number, comm.rank)
    if count == 1:
        return Groups(comm, size, count, number, lane, members, None, np.zeros(1, dtype=np.int64))
    node_of_rank = _nodes(comm)
    of_group = node_of_rank.reshape(count, size)
    whole = np.all(of_group == of_group[:, :1], axis=1)
    # a group that reaches over two nodes is a node of its own: nobody can take points from it
    node = np.where(whole, of_group[:, 0], comm.size + np.arange(count))
    color = int(node[number]) * size + lane
    neighbours = comm.Split(color, comm.rank)
    if not comm.allreduce(_can_share(neighbours), op=MPI.LAND):
        node = np.arange(count)
    node = np.unique(node, return_inverse=True)[1].astype(np.int64)
    if np.count_nonzero(node == node[number]) == 1:
        neighbours.Free()
        return Groups(comm, size, count, number, lane, members, None, node)
    return Groups(comm, size, count, number, lane, members, neighbours, node)


def _nodes(comm: MPI.Comm) -> Ints:
    """The lowest rank of the node of each rank."""
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    first = node.allreduce(comm.rank, op=MPI.MIN)
    node.Free()
    return np.array(comm.allgather(first), dtype=np.int64)


def _can_share(neighbours: MPI.Comm) -> bool:
    """Whether these processes can map each other's memory, which containers may forbid; collective."""
    size, block, opened = os.sysconf("SC_PAGE_SIZE"), None, None
    with suppress(OSError):
        block = SharedBlock.create(size)
    if first := neighbours.bcast(block.place if block else None):
        with suppress(OSError):
            opened = SharedBlock.open(first, size)
    neighbours.Barrier()
    return block is not None and opened is not None
