"""From a mesh file to DOLFINx's arrays: one type of element, one physical group for each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import dolfinx.mesh
import numpy as np
import numpy.typing as npt
from dolfinx import cpp
from scipy.sparse import csr_array

from fe2.arrays import Array, Ints
from fe2.errors import Fe2Warning, InputError, place
from fe2.msh.facing_sides import facing_sides, refuse_mismatch
from fe2.msh.file import NO_GROUP, Elements, MeshFile
from fe2.msh.interfaces import (
    coincident_nodes,
    joined_nodes,
    refuse_coincident,
    refuse_cracked_faces,
    refuse_hanging,
)
from fe2.msh.resolution import check_resolution, round_off
from fe2.msh.topology import Connectivity, check_topology

_TYPES = {
    "line": ("interval", 1),
    "line3": ("interval", 2),
    "triangle": ("triangle", 1),
    "triangle6": ("triangle", 2),
    "quad": ("quadrilateral", 1),
    "quad9": ("quadrilateral", 2),
    "tetra": ("tetrahedron", 1),
    "tetra10": ("tetrahedron", 2),
    "hexahedron": ("hexahedron", 1),
    "hexahedron27": ("hexahedron", 2),
}
"""Reference cell and order of the types that meshes are made of, by meshio's names."""

_ENTITIES = ("point", "curve", "surface", "volume")


@dataclass(frozen=True, eq=False)
class Part:
    """k elements of one shape, each in one physical group.

    Attributes:
        nodes: Their nodes, as rows of the mesh's points, vertices first, shape (k, n).
        tags: Number of the physical group of each, shape (k,).
        labels: Number in the file and geometrical entity of each, shape (k, 2).
        names: Number of each physical group by its name.
    """

    nodes: Ints
    tags: npt.NDArray[np.int32]
    labels: Ints
    names: dict[str, int]


@dataclass(frozen=True, eq=False)
class MeshData:
    """A mesh as arrays.

    Attributes:
        cell: Name of the reference cell.
        order: Polynomial order of the geometry, 1 or 2.
        points: Coordinates of the nodes that the cells use, shape (n, dim).
        rows: Their rows in the file, shape (n,).
        cells: The elements of the highest dimension, with nodes in DOLFINx's order.
        masters: Row that stands for each row of the file, itself where no nodes were joined.
    """

    cell: str
    order: int
    points: Array
    rows: Ints
    cells: Part
    masters: Ints


def cells_of_file(
    file: MeshFile,
    groups: Mapping[str, str | int] | None = None,
    merge: bool | None = None,
    *,
    periodic: bool = False,
) -> MeshData:
    """The elements of the highest dimension in a file.

    Args:
        file: What was read.
        groups: Name or number of the physical group that each wanted name stands for; all groups of
            the highest dimension under their own names where it is None.
        merge: What becomes of nodes that coincide: True joins them, False keeps them apart, as in a
            crack; None refuses them.
        periodic: Whether nodes on opposite faces of the mesh will be matched by their places.

    Raises:
        InputError: Several types of elements; a type that is not supported; a group without elements;
            an element without a group or with several; a surface that is not plane; nodes and elements
            that do not fit together.
    """
    elements = _highest(file)
    cell, order = _TYPES[elements.type]
    names = _chosen(file, elements.dim, groups)
    chosen, left_out = _in_groups(file, elements, names)
    if len(left_out):
        wanted = f"none of the wanted groups {list(names)}" if groups else "no physical group"
        _refuse(
            file,
            f"{_describe(file, elements, left_out[0])} belongs to {wanted}, as do {len(left_out) - 1} more: "
            "every element needs exactly one; gmsh's Mesh.SaveAll = 0 leaves those without a group out",
        )
    nodes = elements.nodes[chosen]
    nodes = nodes[:, cpp.io.perm_vtk(dolfinx.mesh.to_type(cell), nodes.shape[1])]
    mesh = Connectivity(cell, order, nodes, file.numbers, lambda k: _describe(file, elements, chosen[k]))
    try:
        masters = _checked(mesh, file.points, merge, periodic)
    except InputError as error:
        _refuse(file, str(error))
    nodes = masters[nodes]
    rows, inverse = np.unique(nodes, return_inverse=True)
    points = file.points[rows]
    height = np.abs(points[:, 2] - points[0, 2])
    if elements.dim == 2 and height.max() > 1e-10 * np.ptp(points[:, :2]) + 4 * round_off(points):
        off = points[int(np.argmax(height))]
        _refuse(file, f"node at {place(off)} lies off the plane z = {points[0, 2]:g} of a surface mesh")
    part = _part(elements, chosen, inverse.reshape(len(chosen), -1), names)
    return MeshData(cell, order, np.ascontiguousarray(points[:, : elements.dim]), rows, part, masters)


def _checked(mesh: Connectivity, points: Array, merge: bool | None, periodic: bool) -> Ints:
    """The node that stands for each node, of a mesh whose elements fit together."""
    check_topology(mesh)
    check_resolution(points, mesh.vertices)
    masters = np.arange(len(points))
    if merge is False and not periodic:
        return masters
    found = joined_nodes(mesh, points)
    if merge is False:
        refuse_cracked_faces(points[np.unique(mesh.nodes)], points, found)
        return masters
    facing = facing_sides(mesh, points)
    if merge is None:
        coincident = coincident_nodes(found)
        open_ = np.unique(facing.nodes[~coincident[facing.nodes]])
        refuse_coincident(mesh, points, found, matching=2 * len(open_) < int(coincident.sum()))
    elif (count := int((found != masters).sum())) > 0:
        warnings.warn(f"{count} nodes that coincided with others were joined", Fe2Warning, stacklevel=2)
    else:
        warnings.warn("merge = true joined nothing: no nodes coincide", Fe2Warning, stacklevel=2)
    joined = replace(mesh, nodes=found[mesh.nodes])
    if merge:
        check_topology(joined)
    refuse_hanging(joined, points)
    refuse_mismatch(mesh, points, facing, found)
    return found


def facets_of_file(file: MeshFile, data: MeshData) -> Part:
    """The elements of one dimension less than the mesh that belong to physical groups.

    Raises:
        InputError: A group without elements; an element with several groups; one that is no side
            of a cell.
    """
    dim, size = data.points.shape[1] - 1, len(data.rows)
    kind = cpp.mesh.cell_entity_type(dolfinx.mesh.to_type(data.cell), dim, 0).name
    width = _vertices(kind)
    names = _chosen(file, dim, None)
    grouped = [e for e in file.elements if e.dim == dim and (e.groups != NO_GROUP).any()]
    if not grouped:
        return Part(np.empty((0, width), np.int64), np.empty(0, np.int32), np.empty((0, 2), np.int64), {})
    elements = _joined(grouped[0], data.masters)
    if len(grouped) > 1 or _TYPES.get(elements.type) != (kind, data.order):
        found = " and ".join(e.type for e in grouped)
        _refuse(
            file, f"sides of type {found} in physical groups of a mesh of {data.cell}s of order {data.order}"
        )
    chosen, _ = _in_groups(file, elements, names)
    rows = elements.nodes[chosen]
    nodes = np.minimum(np.searchsorted(data.rows, rows), size - 1)
    cells = data.cells.nodes[:, : _vertices(data.cell)]
    shared = _incidence(nodes[:, :width], size) @ _incidence(cells, size).T
    ordered = np.sort(rows, axis=1)
    stray = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    stray |= (shared.max(axis=1).toarray().ravel() < width) | (data.rows[nodes] != rows).any(axis=1)
    if stray.any():
        side = _describe(file, elements, chosen[int(np.argmax(stray))])
        _refuse(file, f"{side} is not a side of any {data.cell}")
    return _part(elements, chosen, nodes, names)


def _joined(sides: Elements, masters: Ints) -> Elements:
    """Sides after nodes were joined: one of two that became the same in the same group."""
    nodes = masters[sides.nodes]
    keys = np.column_stack((np.sort(nodes, axis=1), sides.groups))
    if np.array_equal(nodes, sides.nodes):
        return sides
    _, kept = np.unique(keys, axis=0, return_index=True)
    kept.sort()
    return Elements(
        sides.type, sides.dim, nodes[kept], sides.groups[kept], sides.entities[kept], sides.numbers[kept]
    )


def _highest(file: MeshFile) -> Elements:
    dim = max([e.dim for e in file.elements] + [dim for dim, _ in file.names], default=0)
    found = [e for e in file.elements if e.dim == dim]
    if dim < 2:
        _refuse(file, "holds no surface or volume elements: a mesh has two or three dimensions")
    if not found:
        name = next(name for (d, _), name in file.names.items() if d == dim)
        _refuse(file, f"physical {_ENTITIES[dim]} '{name}' is declared, but the mesh has no {dim}D elements")
    rarest = min(found, key=lambda e: len(e.nodes))
    if len(found) > 1:
        counts = " and ".join(f"{len(e.nodes)} of type {e.type}" for e in found)
        _refuse(
            file,
            f"several types of elements, {counts}, where one is allowed; of the rarer type is "
            f"{_describe(file, rarest, 0)}",
        )
    if rarest.type not in _TYPES:
        hint = " (set Mesh.SecondOrderIncomplete = 0)" if rarest.type in ("quad8", "hexahedron20") else ""
        _refuse(
            file,
            f"{_describe(file, rarest, 0)}: elements of this type are not supported{hint}; triangles, "
            "quadrilaterals, tetrahedra and hexahedra of first and second order are",
        )
    return rarest


def _chosen(file: MeshFile, dim: int, wanted: Mapping[str, str | int] | None) -> dict[str, int]:
    """Group numbers by name, each with at least one element."""
    declared = {number: name for (d, number), name in sorted(file.names.items()) if d == dim}
    chosen: dict[str, int] = {}
    if wanted is None:
        for number, name in declared.items():
            if name in chosen:
                _refuse(file, f"physical groups {chosen[name]} and {number} are both named '{name}'")
            chosen[name] = number
    else:
        for name, group in wanted.items():
            numbers = [number for number, known in declared.items() if group in (number, known)]
            if len(numbers) != 1:
                known = ", ".join(f"'{known}' ({number})" for number, known in declared.items()) or "none"
                _refuse(
                    file, f"no single physical {_ENTITIES[dim]} {group!r} for '{name}'; the file has {known}"
                )
            chosen[name] = numbers[0]
    filled = {number for e in file.elements if e.dim == dim for number in np.unique(e.groups).tolist()}
    for name, number in chosen.items():
        if number not in filled:
            _refuse(file, f"physical {_ENTITIES[dim]} '{name}' ({number}) is declared, but holds no elements")
    return chosen


def _in_groups(file: MeshFile, elements: Elements, names: Mapping[str, int]) -> tuple[Ints, Ints]:
    """Rows of the elements in the chosen groups, each of which has one, and rows of those in none."""
    _, which = np.unique(np.sort(elements.nodes, axis=1), axis=0, return_inverse=True)
    which = which.ravel()
    wanted = np.isin(elements.groups, list(names.values()))
    count = np.bincount(which[wanted], minlength=len(which))[which]
    chosen, again = np.flatnonzero(wanted), np.flatnonzero(wanted & (count > 1))
    if len(again):
        known = {number: name for name, number in names.items()}
        rows = np.flatnonzero(wanted & (which == which[again[0]]))
        first, second = (known[number] for number in elements.groups[rows[:2]].tolist())
        if first == second:
            _refuse(file, f"{_describe(file, elements, rows[1])} is listed twice in '{first}'")
        _refuse(
            file,
            f"{_describe(file, elements, rows[0])} is in the physical group '{first}' and again in "
            f"'{second}' ({len(np.unique(which[again]))} such elements): it may have one",
        )
    return chosen, np.flatnonzero(count == 0)


def _part(elements: Elements, rows: Ints, nodes: Ints, names: dict[str, int]) -> Part:
    labels = np.column_stack((elements.numbers, elements.entities))[rows]
    return Part(nodes, elements.groups[rows].astype(np.int32), labels, names)


def _incidence(nodes: Ints, size: int) -> csr_array:
    count, width = nodes.shape
    return csr_array(
        (np.ones(nodes.size, np.int8), nodes.ravel(), np.arange(count + 1) * width), shape=(count, size)
    )


def _vertices(cell: str) -> int:
    count: int = cpp.mesh.cell_num_entities(dolfinx.mesh.to_type(cell), 0)
    return count


def _describe(file: MeshFile, elements: Elements, row: int) -> str:
    name, nodes = elements.type, elements.nodes[row]
    if name in _TYPES:
        name, _ = _TYPES[name]
        nodes = nodes[: _vertices(name)]
    at = place(file.points[nodes].mean(axis=0))
    return f"{name} {elements.numbers[row]} of {_ENTITIES[elements.dim]} {elements.entities[row]} at {at}"


def _refuse(file: MeshFile, reason: str) -> NoReturn:
    raise InputError(f"{file.path}: {reason}")
