"""From arrays that one rank has read to a mesh on all ranks."""

from __future__ import annotations

from typing import NamedTuple

import basix
import basix.ufl
import dolfinx.mesh
import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.arrays import Ints
from fe2.msh.mesh_data import MeshData
from fe2.msh.partition import cells_on_first_ranks


class LocalMesh(NamedTuple):
    """A distributed mesh, and what the file says about this rank's cells and ghosts.

    Attributes:
        mesh: The mesh.
        tags: Number of the physical group of each cell, shape (k,).
        labels: Number in the file and geometrical entity of each cell, shape (k, 2).
        names: Number of each physical group by its name.
    """

    mesh: dolfinx.mesh.Mesh[np.float64]
    tags: npt.NDArray[np.int32]
    labels: Ints
    names: dict[str, int]


def distribute(comm: MPI.Comm, data: MeshData | None, ranks: int | None = None) -> LocalMesh:
    """DOLFINx mesh of the arrays that rank 0 holds, on all ranks or the first few; collective."""
    header = comm.bcast(None if data is None else (data.cell, data.order, data.points.shape[1]))
    cell, order, dim = header
    element = basix.ufl.element(
        "Lagrange", cell, order, lagrange_variant=basix.LagrangeVariant.equispaced, shape=(dim,)
    )
    nodes = np.empty((0, element.basix_element.dim), np.int64) if data is None else data.cells.nodes
    points = np.empty((0, dim)) if data is None else data.points
    partitioner = cells_on_first_ranks(ranks or comm.size) if comm.size > 1 else None
    mesh = dolfinx.mesh.create_mesh(comm, nodes, element, points, partitioner)
    here = mesh.topology.original_cell_index
    tags, labels, names = comm.bcast(
        None if data is None else (data.cells.tags, data.cells.labels, data.cells.names)
    )
    return LocalMesh(mesh, tags[here], labels[here], names)
