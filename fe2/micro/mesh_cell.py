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
    phases: Mapping[str, str | int | Sequence[str | int]] | None = None,
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
        phases: Name or number of the physical group of each phase, or those of its groups where it has a
            field of materials, in the wanted order; where it is None, the phases are the file's groups by
            their names, in the order of their numbers.
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
    groups, owner = _groups(phases)
    data = on_root(
        comm, lambda: cells_of_file(read_mesh_file(path, labels), groups, merge, periodic=periodic)
    )
    mesh, tags, entities, names = distribute(comm, data)
    owner = owner or {name: name for name in names}
    order = {phase: i for i, phase in enumerate(dict.fromkeys(owner.values()))}
    index = {number: order[owner[name]] for name, number in names.items()}
    indices = np.array([index[tag] for tag in tags.tolist()], dtype=np.int32)
    try:
        return make_cell(
            mesh,
            indices,
            tuple(order),
            element_labels=tags,
            label_names=names,
            periodic=periodic,
            labels=entities,
            period=period,
            tolerance=tolerance,
        )
    except InputError as error:
        refusal = InputError(f"{path}: {error}")
        refusal.collective = error.collective
        raise refusal from error


def _groups(
    phases: Mapping[str, str | int | Sequence[str | int]] | None,
) -> tuple[dict[str, str | int] | None, dict[str, str]]:
    """The physical group that each name stands for, and the phase that it belongs to.

    A phase of one group gives it its own name; groups of a phase that has several keep theirs.
    """
    if phases is None:
        return None, {}
    groups: dict[str, str | int] = {}
    owner: dict[str, str] = {}
    for phase, given in phases.items():
        own: Sequence[str | int] = [given] if isinstance(given, str | int) else given
        for group in own:
            name = phase if own is not given else str(group)
            if name in groups:
                raise InputError(
                    f"group {name!r} is given to more than one phase: {owner[name]!r}, {phase!r}"
                )
            groups[name], owner[name] = group, phase
    return groups, owner
