r"""Interfaces that resist: the field jumps where the flux crosses them (Kapitza 1941).

.. math:: s\cdot n = [\![T]\!]/R, \qquad
    r \mathrel{+}= \int_\Gamma \frac{1}{R}\,[\![T]\!]\,[\![v]\!]\,\mathrm{d}a

The field is discontinuous from element to element, and the map from free fluctuations folds it back to
continuity across every facet that does not resist: its degrees of freedom there copy one of them. An
interface may lie on the faces of the cell. The term then needs the field at the opposite face: a mirror
field holds it, whose degrees of freedom at the upper face copy those at the lower one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from scipy.sparse.csgraph import connected_components
from ufl.core.expr import Expr

from fe2.arrays import Ints, Mask
from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.periodicity import node_representatives
from fe2.physics.checks import POSITIVE, checked

type Contact = Mapping[tuple[str, str], float]
"""Resistance of the interface between two phases, by their names."""


def resisting_interfaces(cell: Cell, contact: Contact) -> Contact:
    """The resistances, checked.

    Raises:
        InputError: A pair that is no pair of phases or is given twice, or a resistance that is not positive.
    """
    found: dict[tuple[str, str], float] = {}
    for pair, resistance in contact.items():
        if len(set(pair)) != 2 or not set(pair) <= set(cell.names):
            raise InputError(
                f"contact is given for {pair!r}; it needs a pair of the phases {', '.join(cell.names)}"
            )
        if (pair[1], pair[0]) in found:
            raise InputError(f"contact between {pair[0]!r} and {pair[1]!r} is given twice")
        owner = f"contact between {pair[0]!r} and {pair[1]!r}"
        found[pair[0], pair[1]] = checked(owner, "resistance", resistance, POSITIVE)
    return found


def interface_moduli(cell: Cell, contact: Contact) -> dict[str, tuple[float]]:
    """What stands for an interface beside conductivities: h / R, with the mean length h of the elements."""
    count = cell.mesh.topology.index_map(cell.dim).size_global if cell.grid is None else np.prod(cell.grid)
    length = float((cell.volume / count) ** (1.0 / cell.dim))
    return {f"contact {' and '.join(pair)}": (length / value,) for pair, value in contact.items()}


@dataclass(frozen=True, eq=False)
class ContactCopies:
    """How the discontinuous field and its mirrors fold.

    Attributes:
        masters: For the field and each mirror, what each degree of freedom copies of the field.
        used: For the field and each mirror, whether a degree of freedom appears in the form.
        mirrored: Axes whose faces have resisting interfaces; one mirror field for each.
        inner: Tags of the resisting interior facets: numbers of their resistances.
        outer: Tags of the resisting facets on the upper faces, those of each mirrored axis after those of
            the one before.
    """

    masters: list[Ints]
    used: list[Mask]
    mirrored: list[int]
    inner: dmesh.MeshTags
    outer: dmesh.MeshTags


@dataclass(frozen=True, eq=False)
class _Joint:
    """Pairs of mesh cells that meet at facets, with the number of the resistance or -1 for none."""

    facets: Ints
    first: Ints
    second: Ints
    resistance: Ints


def contact_copies(cell: Cell, contact: Contact, degree: int, periodic: bool) -> ContactCopies:
    """Fold the discontinuous field of a cell to continuity wherever nothing resists.

    Args:
        cell: The geometry.
        contact: Resistances.
        degree: Degree of the field.
        periodic: Whether opposite faces of the cell are the same.
    """
    field = fem.functionspace(cell.mesh, ("Discontinuous Lagrange", degree))
    dofs = field.dofmap.list.astype(np.int64)
    places = _places(cell, field, degree, periodic)
    inner, exterior = _interior(cell, contact)
    joints = [inner]
    if periodic:
        joints += [_across(cell, contact, exterior, axis) for axis in range(cell.dim)]
    first, second = (
        np.concatenate(ends)
        for ends in zip(*(_shared(j, dofs, places, j.resistance < 0) for j in joints), strict=True)
    )
    size = dofs.size
    graph = sp.coo_matrix((np.ones(len(first)), (first, second)), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    _, master, number = np.unique(group, return_index=True, return_inverse=True)
    masters, used = [master[number].astype(np.int64)], [np.ones(size, dtype=bool)]
    mirrored = [axis for axis, joint in enumerate(joints[1:]) if np.any(joint.resistance >= 0)]
    for axis in mirrored:
        mirror, original = _shared(joints[1 + axis], dofs, places, joints[1 + axis].resistance >= 0)
        copied, needed = np.arange(size), np.zeros(size, dtype=bool)
        copied[mirror], needed[mirror] = masters[0][original], True
        masters.append(copied)
        used.append(needed)
    faces = [joints[1 + axis] for axis in mirrored]
    outer = _tags(cell, faces, [number * len(contact) for number in range(len(faces))])
    return ContactCopies(masters, used, mirrored, _tags(cell, [inner], [0]), outer)


def contact_term(
    cell: Cell,
    contact: Contact,
    copies: ContactCopies,
    fields: Sequence[Expr],
    tests: Sequence[Expr],
    degree: int,
) -> ufl.Form:
    """The interfaces' share of the residual.

    Args:
        cell: The geometry.
        contact: Resistances.
        copies: Where they act.
        fields: The field and its mirrors.
        tests: Their test functions.
        degree: Degree of the quadrature rule.
    """
    metadata = {"quadrature_degree": degree}
    conductance = [fem.Constant(cell.mesh, 1.0 / resistance) for resistance in contact.values()]
    dS = ufl.Measure("dS", domain=cell.mesh, subdomain_data=copies.inner, metadata=metadata)
    ds = ufl.Measure("ds", domain=cell.mesh, subdomain_data=copies.outer, metadata=metadata)
    form = ufl.Form([])
    for i, c in enumerate(conductance):
        form += c * ufl.jump(fields[0]) * ufl.jump(tests[0]) * dS(i)
        for number in range(len(copies.mirrored)):
            jump, test_jump = (f[0] - f[1 + number] for f in (fields, tests))
            form += c * jump * test_jump * ds(number * len(conductance) + i)
    return form


def _places(cell: Cell, field: fem.FunctionSpace, degree: int, periodic: bool) -> Ints:
    """Number of the point of the medium at which each degree of freedom stands, shape (cells, nodes)."""
    whole = fem.functionspace(cell.mesh, ("Lagrange", degree))
    x, nodes = whole.tabulate_dof_coordinates(), whole.dofmap.list.astype(np.int64)
    own = field.tabulate_dof_coordinates()[field.dofmap.list]
    distance = np.linalg.norm(own[:, :, None, :] - x[nodes][:, None, :, :], axis=-1)
    places = np.take_along_axis(nodes, np.argmin(distance, axis=2), axis=1)
    if periodic:
        places = node_representatives(x[:, : cell.dim], cell.period, partners=cell.whole)[places]
    return places


def _interior(cell: Cell, contact: Contact) -> tuple[_Joint, Ints]:
    """The joints at interior facets; exterior facets with their mesh cells, shape (n, 2)."""
    mesh, dim = cell.mesh, cell.dim
    mesh.topology.create_connectivity(dim - 1, dim)
    graph = mesh.topology.connectivity(dim - 1, dim)
    starts, cells = graph.offsets.astype(np.int64), graph.array.astype(np.int64)
    facets = np.arange(len(starts) - 1)
    inner = facets[np.diff(starts) == 2]
    outer = facets[np.diff(starts) == 1]
    first, second = cells[starts[inner]], cells[starts[inner] + 1]
    joint = _Joint(inner, first, second, _resistance(cell, contact, first, second))
    return joint, np.column_stack([outer, cells[starts[outer]]])


def _across(cell: Cell, contact: Contact, exterior: Ints, axis: int) -> _Joint:
    """The joints of the upper face of an axis with the lower one."""
    facets = exterior[:, 0].astype(np.int32)
    x = dmesh.compute_midpoints(cell.mesh, cell.dim - 1, facets)[:, : cell.dim]
    masters = node_representatives(x, cell.period, partners=False)
    upper = np.abs(x[:, axis] - cell.period[axis] / 2) < 1e-8 * cell.period[axis]
    rows = np.flatnonzero(upper & (masters != np.arange(len(x))))
    first, second = exterior[rows, 1], exterior[masters[rows], 1]
    return _Joint(exterior[rows, 0], first, second, _resistance(cell, contact, first, second))


def _resistance(cell: Cell, contact: Contact, first: Ints, second: Ints) -> Ints:
    table = np.full(2 * (len(cell.names),), -1, dtype=np.int64)
    for number, pair in enumerate(contact):
        if set(pair) <= set(cell.names):
            i, j = (cell.names.index(name) for name in pair)
            table[i, j] = table[j, i] = number
    phase = cell.phases.values
    numbers: Ints = table[phase[first], phase[second]]
    return numbers


def _shared(joint: _Joint, dofs: Ints, places: Ints, chosen: Mask) -> tuple[Ints, Ints]:
    """Degrees of freedom of first and second cells that stand at the same point of the medium."""
    first, second = joint.first[chosen], joint.second[chosen]
    rows, i, j = np.nonzero(places[first][:, :, None] == places[second][:, None, :])
    return dofs[first[rows], i], dofs[second[rows], j]


def _tags(cell: Cell, joints: Sequence[_Joint], starts: Sequence[int]) -> dmesh.MeshTags:
    """Facets that resist, with the number of their resistance counted from the joint's start."""
    rows = [
        np.column_stack([joint.facets, start + joint.resistance])[joint.resistance >= 0]
        for joint, start in zip(joints, starts, strict=True)
    ]
    table = np.concatenate([np.zeros((0, 2), dtype=np.int64), *rows]).astype(np.int32)
    facets, numbers = table[np.argsort(table[:, 0])].T.copy()
    return dmesh.meshtags(cell.mesh, cell.dim - 1, facets, numbers)
