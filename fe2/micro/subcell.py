"""Parts of a cell: the phases in which something flows, without what is cut off from the rest.

A phase that conducts nothing, or grains in which nothing flows, is left out of the mesh; the faces
that it leaves behind are impermeable. What is left need not be connected. A part that is not
connected with its own periodic images carries no flux and would make the cell problem singular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from dolfinx import fem
from dolfinx import mesh as dmesh
from scipy.sparse.csgraph import connected_components

from fe2.arrays import Ints, Mask
from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.element_geometry import volumes
from fe2.micro.facet_pairs import facet_pairs
from fe2.micro.periodicity import node_representatives


@dataclass(frozen=True, eq=False)
class Subcell:
    """The part of a cell in which something flows.

    Attributes:
        cell: The part, with the period of the whole.
        isolated: Share of the cell's volume, by phase, that was left out because it is not
            connected with its own periodic images.
        percolates: For each axis, whether what is left is connected from one face to the other.
        parts: Number of parts that are not connected with each other.
        part_of_cell: Part to which each mesh cell of `cell` belongs.
    """

    cell: Cell
    isolated: dict[str, float]
    percolates: tuple[bool, ...]
    parts: int
    part_of_cell: Ints


@dataclass(frozen=True, eq=False)
class Pieces:
    """How facets connect mesh cells: pieces within the box, and the parts of the medium that they belong to.

    Attributes:
        count: Number of parts.
        part_of_cell: Part of each mesh cell.
        piece_of_cell: Piece of each mesh cell.
        offset_of_cell: Periods by which it is shifted when its part is put together, shape (n, dim).
        loops: For each part the axes along which it is connected with its own image, shape (count, dim).
    """

    count: int
    part_of_cell: Ints
    piece_of_cell: Ints
    offset_of_cell: Ints
    loops: Mask


def flowing_part(cell: Cell, phases: Sequence[str], *, through_facets: bool = False) -> Subcell:
    """The given phases of a cell, without the parts of them that are isolated.

    Args:
        cell: The whole cell, on one rank.
        phases: Names of the phases that are kept.
        through_facets: Whether mesh cells are connected through common facets only; otherwise a
            common node is enough.

    Raises:
        InputError: There is no such phase, or nothing is left.
    """
    kept = np.sort(np.concatenate([cell.cells_of(name) for name in phases]))
    if through_facets:
        pieces = pieces_of(cell, kept)
        parts, loops = pieces.part_of_cell, pieces.loops
    else:
        parts, loops = _parts(cell, kept)
    flowing = np.any(loops, axis=1)
    stays = flowing[parts]
    isolated = shares(cell, kept[~stays])
    if not np.any(stays):
        names = ", ".join(map(repr, phases))
        raise InputError(nothing_flows(names, through_facets))
    _, numbers = np.unique(parts[stays], return_inverse=True)
    part, parents = restricted(cell, kept[stays])
    numbers = numbers[np.searchsorted(kept[stays], parents)]
    return Subcell(
        cell=part,
        isolated=isolated,
        percolates=tuple(np.any(loops[flowing], axis=0).tolist()),
        parts=int(numbers.max()) + 1,
        part_of_cell=numbers,
    )


def nothing_flows(names: str, through_facets: bool, does: str = "flows") -> str:
    """What is said where nothing flows, or does what it should."""
    how = " through faces" if through_facets else ""
    return f"nothing {does} in the cell: {names} is not connected with its periodic images{how}"


def shares(cell: Cell, cells: npt.NDArray[np.int32]) -> dict[str, float]:
    """Share of the cell's volume that mesh cells have, by phase, where there is any."""
    measures = volumes(cell.mesh)[cells]
    found = np.bincount(cell.phases.values[cells], measures, len(cell.names)) / cell.volume
    return {name: share for name, share in zip(cell.names, found.tolist(), strict=True) if share > 0.0}


def restricted(cell: Cell, cells: npt.NDArray[np.int32]) -> tuple[Cell, npt.NDArray[np.int32]]:
    """The part of a cell that consists of some of its mesh cells, and the parent of each of them."""
    mesh, entities, _, _ = dmesh.create_submesh(cell.mesh, cell.dim, cells)
    parents = entities.sub_topology_to_topology(np.arange(len(cells), dtype=np.int32), inverse=False)
    indices = cell.phases.values[parents]
    present = np.unique(indices)
    values = np.searchsorted(present, indices).astype(np.int32)
    tags = dmesh.meshtags(mesh, cell.dim, np.arange(len(cells), dtype=np.int32), values)
    part = Cell(
        mesh=mesh,
        phases=tags,
        names=tuple(cell.names[i] for i in present),
        period=cell.period,
        whole=False,
        grid=cell.grid,
        coarsen=cell.coarsen,
        element_labels=None if cell.element_labels is None else cell.element_labels[parents],
        label_names=cell.label_names,
    )
    return part, parents


def in_one_part(cell: Cell) -> bool:
    """Whether common nodes, with those on opposite faces, connect all mesh cells."""
    cells = np.arange(len(cell.phases.values), dtype=np.int32)
    return len(_parts(cell, cells)[1]) == 1


def connected_with_images(cell: Cell, cells: npt.NDArray[np.int32]) -> bool:
    """Whether mesh cells that have common nodes are connected with their own periodic images."""
    return bool(np.any(_parts(cell, cells)[1]))


def _parts(cell: Cell, cells: npt.NDArray[np.int32]) -> tuple[Ints, Mask]:
    """Connected part of each cell, and for each part the axes along which it meets its own image.

    Pieces that are connected within the box are joined where their nodes on opposite faces are the
    same nodes of the periodic medium. Two ways through the faces from one piece to another that end a
    period apart close a loop around the cell along that axis.
    """
    nodes = cell.mesh.geometry.dofmaps[0][cells].astype(np.int64)
    used, local = np.unique(nodes, return_inverse=True)
    local = local.reshape(nodes.shape)
    others = local[:, 1:].reshape(-1)
    count, piece = _components(np.repeat(local[:, 0], local.shape[1] - 1), others, len(used))
    x = cell.mesh.geometry.x[used][:, : cell.dim]
    masters = node_representatives(x, cell.period, partners=False)
    copies = np.flatnonzero(masters != np.arange(len(used)))
    shift = np.rint((x[copies] - x[masters[copies]]) / cell.period).astype(np.int64)
    part, loops, _ = joined_parts(np.column_stack([piece[copies], piece[masters[copies]], shift]), count)
    return part[piece[local[:, 0]]], loops


def pieces_of(cell: Cell, cells: npt.NDArray[np.int32], *, periodic: bool = True) -> Pieces:
    """Pieces and parts of some mesh cells that are connected through facets.

    Args:
        cell: The cell, on one rank.
        cells: The mesh cells, in ascending order.
        periodic: Whether facets connect across the period.
    """
    pairs = facet_pairs(cell, cells)
    ends, within = np.searchsorted(cells, pairs.cells), ~np.any(pairs.shift, axis=1)
    count, piece = _components(ends[within, 0], ends[within, 1], len(cells))
    across = ~within & periodic
    part, loops, offset = joined_parts(np.column_stack([piece[ends[across]], pairs.shift[across]]), count)
    return Pieces(len(loops), part[piece], piece, offset[piece], loops)


def node_of_each_part(cell: Cell, space: fem.FunctionSpace, part_of_cell: Ints, parts: int) -> Ints:
    """A node of each part: the one nearest to the lower corner, as boundary conditions choose it.

    Args:
        cell: The cell.
        space: Space whose nodes are meant.
        part_of_cell: Part of each mesh cell, shape (mesh cells,).
        parts: Number of parts.
    """
    distance = np.linalg.norm(space.tabulate_dof_coordinates()[:, : cell.dim] + cell.period / 2, axis=1)
    found = []
    for number in range(parts):
        nodes = np.unique(space.dofmap.list[part_of_cell == number])
        found.append(int(nodes[np.argmin(distance[nodes])]))
    return np.array(found, dtype=np.int64)


def joined_parts(joints: Ints, count: int) -> tuple[Ints, Mask, Ints]:
    """Part of each of `count` pieces joined through the faces, the axes of loops of each part, and offsets.

    An offset is the number of periods by which a piece is shifted when its part is put together.

    Args:
        joints: Two pieces and the periods between them, shape (n, 2 + dim).
        count: Number of pieces.
    """
    joints = np.unique(joints, axis=0)
    parts, part = _components(joints[:, 0], joints[:, 1], count)
    loops = np.zeros((parts, joints.shape[1] - 2), dtype=bool)
    offset = _offsets(joints, count)
    open_ends, axes = np.nonzero(offset[joints[:, 0]] + joints[:, 2:] - offset[joints[:, 1]])
    loops[part[joints[open_ends, 0]], axes] = True
    return part, loops, offset


def _components(first: Ints, second: Ints, size: int) -> tuple[int, Ints]:
    graph = sp.coo_matrix((np.ones(len(first)), (first, second)), shape=(size, size))
    count, labels = connected_components(graph, directed=False)
    return int(count), labels.astype(np.int64)


def _offsets(joints: Ints, count: int) -> Ints:
    """Periods by which each piece is shifted when the medium is put together along a tree of joints."""
    neighbours: dict[int, list[tuple[int, Ints]]] = {piece: [] for piece in range(count)}
    for first, second, *shift in joints.tolist():
        neighbours[first].append((second, np.array(shift)))
        neighbours[second].append((first, -np.array(shift)))
    offset = np.zeros((count, joints.shape[1] - 2), dtype=np.int64)
    reached: set[int] = set()
    for root in range(count):
        waiting = [] if root in reached else [root]
        reached.update(waiting)
        while waiting:
            piece = waiting.pop()
            for neighbour, shift in neighbours[piece]:
                if neighbour not in reached:
                    reached.add(neighbour)
                    offset[neighbour] = offset[piece] + shift
                    waiting.append(neighbour)
    return offset
