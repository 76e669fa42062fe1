"""The parts of a macroscopic mesh that are known before it is made, and what a run file says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fe2_meshes

from fe2.case.catalogue import Physics
from fe2.case.problems import Key, Problems, suggestion
from fe2.case.run_checks import boundary_names
from fe2.case.run_tables import SIDES, BoundaryTable, BoxMesh, GeneratorMesh, RunFile
from fe2.case.table import Table


@dataclass(frozen=True)
class MeshParts:
    """Names of the parts of a mesh.

    Attributes:
        dim: Its dimension.
        subdomains: Names of the groups of its cells.
        boundaries: Names of the groups of its facets.
        numbered: Whether they have the numbers 1, 2, ...
    """

    dim: int
    subdomains: Sequence[str]
    boundaries: Sequence[str]
    numbered: bool


def mesh_parts(mesh: Table | None) -> MeshParts | None:
    """The parts of a box or of a generator's mesh; None for a file, which is not read here."""
    if isinstance(mesh, BoxMesh):
        dim = len(mesh.box)
        return MeshParts(dim, ["box"], SIDES[: 2 * dim], True)
    if isinstance(mesh, GeneratorMesh):
        groups = fe2_meshes.MACROSCOPIC_GROUPS[mesh.generator]
        return MeshParts(groups.dim, groups.subdomains, groups.boundaries, False)
    return None


def check_parts(
    tables: RunFile, physics: Physics, subdomains: Mapping[str, object], parts: MeshParts, problems: Problems
) -> None:
    """Refuse groups, components and coordinates that a mesh does not have.

    Args:
        tables: The run file.
        physics: Its physics.
        subdomains: Groups in which the laws hold, by the name of the law.
        parts: The parts of the mesh.
        problems: Receives what is wrong.
    """
    for name, group in subdomains.items():
        _check_group(group, parts.subdomains, parts, "subdomain", ("laws", name, "subdomain"), problems)
    for number, body in enumerate(tables.body):
        _check_group(body.on, parts.subdomains, parts, "subdomain", ("body", number, "on"), problems)
        if physics.vector and isinstance(body.load, Mapping):
            _check_components(list(body.load), physics, parts.dim, ("body", number, "load"), problems)
    for number, boundary in enumerate(tables.boundary):
        key = ("boundary", number)
        _check_group(boundary.on, parts.boundaries, parts, "boundary", (*key, "on"), problems)
        _check_boundary(boundary, physics, parts.dim, key, problems)
    for number, place in enumerate(tables.output.watch):
        if len(place) != parts.dim:
            text = f"{parts.dim} coordinates are needed on this mesh"
            problems.add(("output", "watch", number), text, place)


def check_names(tables: RunFile, problems: Problems) -> None:
    """Refuse boundaries of the same name: they are columns of the history."""
    names = boundary_names(tables)
    for number, name in enumerate(names):
        if name in names[:number]:
            problems.add(("boundary", number, "name"), "boundaries need different names in the results", name)


def _check_boundary(
    boundary: BoundaryTable, physics: Physics, dim: int, key: Key, problems: Problems
) -> None:
    if boundary.at is not None and len(boundary.at) != dim:
        problems.add((*key, "at"), f"{dim} coordinates are needed on this mesh", boundary.at)
    if not physics.vector:
        return
    for name in ("prescribed", "load"):
        values = getattr(boundary, name)
        if isinstance(values, Mapping):
            _check_components(list(values), physics, dim, (*key, name), problems)
    if isinstance(boundary.fixed, tuple):
        _check_components(boundary.fixed, physics, dim, (*key, "fixed"), problems)


def _check_components(names: Sequence[str], physics: Physics, dim: int, key: Key, problems: Problems) -> None:
    for name in names:
        if "xyz".index(name) >= dim:
            problems.add(key, f"the {physics.field} has no component {name} on this mesh")


def _check_group(
    group: object, names: Sequence[str], parts: MeshParts, kind: str, key: Key, problems: Problems
) -> None:
    if isinstance(group, int) and (not parts.numbered or 0 < group <= len(names)):
        return
    if group is not None and group not in names:
        problems.add(
            key, f"the mesh has no {kind} of this name; {suggestion(str(group), list(names))}", group
        )
