"""What of a cell carries a load in mechanics: floating parts, and parts that hang on a node, are left out.

A part is held where facets connect it with its own periodic images or, where the boundary condition is not
periodic, with the faces of the cell. Of the others, those stay that their contacts with held parts leave no
rigid motion: a part that floats or swings about a node or an edge carries nothing as the mesh is refined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import dolfinx.mesh as dmesh
import numpy as np
import numpy.typing as npt

from fe2.arrays import Array, Mask
from fe2.errors import InputError
from fe2.micro.boundary import BoundaryCondition, boundary_map
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.periodicity import TOLERANCE, node_representatives
from fe2.micro.rigid_bodies import RigidBodies, free_motions, pinned
from fe2.micro.subcell import Pieces, connected_with_images, pieces_of, restricted, shares

Cells = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class HeldPart:
    """The part of a cell that carries a load.

    Attributes:
        cell: The part; the whole cell where nothing is left out.
        isolated: Share of the cell's volume, by phase, that was left out.
    """

    cell: Cell
    isolated: Mapping[str, float]


def held_part(cell: Cell, boundary: str | BoundaryCondition) -> HeldPart:
    """The cell without what floats, or hangs on a node or an edge.

    Args:
        cell: The whole cell, on one rank.
        boundary: "periodic", "linear" or "uniform_flux".

    Raises:
        InputError: Nothing holds any part.
    """
    if cell.grid is not None and cell.whole:
        return HeldPart(cell, {})  # the voxels fill the box
    cells = np.arange(len(cell.phases.values), dtype=np.int32)
    pieces = pieces_of(cell, cells, periodic=boundary == "periodic")
    stays = _held(cell, boundary, pieces)[pieces.part_of_cell]
    if not np.any(stays) or (boundary == "periodic" and not connected_with_images(cell, cells[stays])):
        raise InputError(
            f"nothing holds the cell: {', '.join(map(repr, cell.names))} is not connected with its periodic "
            "images, so that the cell carries no load"
        )
    if np.all(stays):
        return HeldPart(cell, {})
    return HeldPart(restricted(cell, cells[stays])[0], shares(cell, cells[~stays]))


def supported(cell: Cell, form: CellForm, boundary: str | BoundaryCondition) -> CellForm:
    """The form with as many degrees of freedom fixed as rigid motions of parts are left.

    Strips that lie side by side move past each other: such motions cost no energy and change no flux.

    Args:
        cell: What :func:`held_part` left of a cell.
        form: A form whose first field is the displacement.
        boundary: Name of the boundary condition.
    """
    cells = np.arange(len(cell.phases.values), dtype=np.int32)
    pieces = pieces_of(cell, cells, periodic=boundary == "periodic")
    if pieces.count == 1 and sum(cell.volume_fractions.values()) > 1.0 - TOLERANCE:
        return form
    space, positions = form.fields()[0]
    dofs = positions.reshape(-1, cell.dim)
    bodies = _bodies(cell, pieces, space.dofmap.list, space.tabulate_dof_coordinates()[:, : cell.dim])
    admissible = boundary_map(boundary, cell, form)
    free = admissible.free[dofs][bodies.node]
    fixed = np.zeros(len(form.modes), dtype=bool) if form.fixed is None else form.fixed.copy()
    moves = free_motions(bodies, free, np.zeros(bodies.count, dtype=bool), admissible.constraints)
    for moving, basis in moves:
        nodes, components = pinned(bodies, free, moving, basis)
        fixed[dofs[nodes, components]] = True
    return replace(form, fixed=fixed) if np.any(fixed) else form


def _held(cell: Cell, boundary: str | BoundaryCondition, pieces: Pieces) -> Mask:
    """Which parts stay, shape (parts,)."""
    nodes, x = cell.mesh.geometry.dofmaps[0], cell.mesh.geometry.x[:, : cell.dim]
    whole = _bodies(cell, pieces, nodes, x)
    periodic = boundary == "periodic"
    masters = node_representatives(x, cell.period, partners=False) if periodic else np.arange(len(x))
    free = masters[:, None] * cell.dim + np.arange(cell.dim)
    resting = np.any(pieces.loops, axis=1) if periodic else _on_faces(cell, pieces)
    if boundary == "linear":
        free[_at_faces(cell, x)] = -1
    if not np.any(resting):
        resting[np.argmax(np.bincount(pieces.part_of_cell))] = True
    stays = np.ones(pieces.count, dtype=bool)
    while True:
        rows = stays[whole.body]
        bodies = RigidBodies(
            whole.count, whole.body[rows], whole.node[rows], whole.place[rows], whole.element[rows]
        )
        loose = [moving for moving, _ in free_motions(bodies, free[bodies.node], resting | ~stays)]
        if not loose:
            return stays
        stays[np.concatenate(loose)] = False


def _on_faces(cell: Cell, pieces: Pieces) -> Mask:
    """Parts that have facets on the faces of the cell."""
    topology, dim = cell.mesh.topology, cell.dim
    exterior = dmesh.exterior_facet_indices(topology)
    facets = exterior[_at_faces(cell, dmesh.compute_midpoints(cell.mesh, dim - 1, exterior)[:, :dim])]
    links = topology.connectivity(dim - 1, dim)
    result = np.zeros(pieces.count, dtype=bool)
    result[pieces.part_of_cell[links.array[links.offsets[facets]]]] = True
    return result


def _at_faces(cell: Cell, x: Array) -> Mask:
    return np.any(np.abs(np.abs(x) - cell.period / 2) < TOLERANCE * cell.period, axis=1)


def _bodies(cell: Cell, pieces: Pieces, nodes: npt.NDArray[np.int32], x: Array) -> RigidBodies:
    """The bodies of the parts, by the nodes of a space: those of each cell, and their coordinates."""
    cells = np.repeat(np.arange(len(nodes)), nodes.shape[1])
    keys = pieces.piece_of_cell[cells] * len(x) + nodes.reshape(-1)
    _, first = np.unique(keys, return_index=True)
    element, node = cells[first], nodes.reshape(-1)[first].astype(np.int64)
    place = x[node] + pieces.offset_of_cell[element] * cell.period
    return RigidBodies(pieces.count, pieces.part_of_cell[element], node, place, element)
