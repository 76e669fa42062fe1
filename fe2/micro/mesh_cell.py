"""Cells from mesh files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np
from mpi4py import MPI

from fe2.errors import InputError
from fe2.micro.cell import Cell, make_cell
from fe2.micro.periodicity import TOLERANCE
from fe2.msh.distribution import distribute
from fe2.msh.mesh_data import cells_of_file
from fe2.msh.read import read_mesh_file
from fe2.parallel import on_root


def read_cell(
    path: str | PathLike[str],
    *,
    phases: Mapping[str, str | int] | None = None,
    comm: MPI.Comm = MPI.COMM_SELF,
    periodic: bool = True,
    labels: str | None = None,
    merge: bool | None = None,
    period: Sequence[float] | None = None,
    tolerance: float = TOLERANCE,
) -> Cell:
    """Read a cell from a mesh file, see :func:`~fe2.msh.read.read_mesh_file`; collective over `comm`.

    Triangles, quadrilaterals, tetrahedra and hexahedra of first and second order are read, one kind
    in a file. Every physical group of the highest dimension is a phase.

    Args:
        path: The file.
        phases: Name or number of the physical group of each phase, in the wanted order; where it is
            None, the phases are the file's groups by their names, in the order of their numbers.
        comm: Ranks over which the cell is distributed.
        periodic: False for a cell that is loaded by its boundary only, whose faces need not match.
        labels: Cell data of a .vtk or .vtu file that are the labels of its elements.
        merge: What becomes of nodes that coincide: True joins them, False keeps them apart, as in a
            crack; None, the default, refuses them.
        period: Edge lengths of the cell; the box around the mesh where it is None. Longer than the mesh
            where there is nothing between it and the next period.
        tolerance: Distance, relative to the period, below which nodes near a face are moved onto it.

    Raises:
        InputError: On all ranks: the file cannot be read, or does not hold a cell (see
            :func:`~fe2.micro.cell.make_cell`). The message names the file, the entity and coordinates.
    """
    data = on_root(
        comm, lambda: cells_of_file(read_mesh_file(path, labels), phases, merge, periodic=periodic)
    )
    mesh, tags, entities, names = distribute(comm, data)
    index = {number: i for i, number in enumerate(names.values())}
    indices = np.array([index[tag] for tag in tags.tolist()], dtype=np.int32)
    try:
        return make_cell(
            mesh,
            indices,
            tuple(names),
            periodic=periodic,
            labels=entities,
            period=period,
            tolerance=tolerance,
        )
    except InputError as error:
        refusal = InputError(f"{path}: {error}")
        refusal.collective = error.collective
        raise refusal from error
