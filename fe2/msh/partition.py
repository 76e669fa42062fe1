"""Which ranks the cells of a mesh go to."""

from __future__ import annotations

from typing import Any, Protocol

import dolfinx.mesh
from dolfinx.cpp.graph import AdjacencyList_int32
from mpi4py import MPI


class Partitioner(Protocol):
    """What DOLFINx's functions that make meshes take as their `partitioner`."""

    def __call__(self, comm: MPI.Comm, parts: int, shapes: Any, cells: Any) -> AdjacencyList_int32:
        """Ranks that each of this rank's cells goes to: its owner, and those that have it as a ghost."""


def cells_on_first_ranks(ranks: int) -> Partitioner:
    """Place a macroscopic mesh on a few ranks only; all the others solve micro models and nothing else.

    A mesh cannot be shared by more ranks than it has cells, and its solver stops becoming faster long
    before. Quadrature points are spread over all ranks in any case.

    .. code-block:: python

        domain = mesh.create_rectangle(comm, corners, [8, 4], partitioner=fe2.cells_on_first_ranks(4))

    Args:
        ranks: Number of ranks, at most, that own cells.
    """
    shared = dolfinx.mesh.create_cell_partitioner(dolfinx.mesh.GhostMode.shared_facet, 2)

    def place(comm: MPI.Comm, parts: int, shapes: Any, cells: Any) -> AdjacencyList_int32:
        return shared(comm, min(ranks, parts), shapes, cells)

    return place
