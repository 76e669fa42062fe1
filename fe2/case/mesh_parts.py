"""The parts of a macroscopic mesh that are known before it is made, and what a run file says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fe2_meshes

from fe2.case.fields import Field
from fe2.case.problems import Key, Problems
from fe2.case.run_checks import boundary_names
from fe2.case.run_tables import SIDES, BodyTable, BoundaryTable, BoxMesh, GeneratorMesh, RunFile
from fe2.registry import suggestion
from fe2.table import Table


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


def check_groups(tables: RunFile, laws: Mapping[str, object], parts: MeshParts, problems: Problems) -> None:
    """Refuse groups and coordinates that a mesh does not have.

    Args:
        tables: The run file.
        laws: The tables of the laws, as the file has them.
        parts: The parts of the mesh.
        problems: Receives what is wrong.
    """
    for name, law in laws.items():
        group = law.get("subdomain") if isinstance(law, dict) else None
        _check_group(group, parts.subdomains, parts, "subdomain", ("laws", name, "subdomain"), problems)
    for number, body in enumerate(tables.body):
        _check_group(body.on, parts.subdomains, parts, "subdomain", ("body", number, "on"), problems)
    text = f"{parts.dim} coordinates are needed on this mesh"
    for number, boundary in enumerate(tables.boundary):
        key = ("boundary", number)
        _check_group(boundary.on, parts.boundaries, parts, "boundary", (*key, "on"), problems)
        if boundary.at is not None and len(boundary.at) != parts.dim:
            problems.add((*key, "at"), text, boundary.at)
    for number, place in enumerate(tables.output.watch):
        if len(place) != parts.dim:
            problems.add(("output", "watch", number), text, place)


def check_components(tables: RunFile, fields: Sequence[Field], dim: int, problems: Problems) -> None:
    """Refuse components of a vector that it does not have in so many dimensions."""
    by_name = {field.name: field for field in fields}
    given: list[tuple[Key, BoundaryTable | BodyTable, tuple[str, ...]]] = [
        *((("body", number), body, ("load", "spring")) for number, body in enumerate(tables.body)),
        *(
            (("boundary", k), table, ("fixed", "prescribed", "load", "spring"))
            for k, table in enumerate(tables.boundary)
        ),
    ]
    for key, table, names in given:
        field = by_name.get(table.field or fields[0].name)
        for name in names if field is not None and field.vector else ():
            values = getattr(table, name)
            for component in values if isinstance(values, Mapping | tuple) else ():
                if "xyz".index(component) >= dim and field is not None:
                    text = f"the {field.name} has no component {component} on this mesh"
                    problems.add((*key, name), text)


def check_names(tables: RunFile, problems: Problems) -> None:
    """Refuse boundaries of the same name: they are columns of the history."""
    names = boundary_names(tables)
    for number, name in enumerate(names):
        if name in names[:number]:
            problems.add(("boundary", number, "name"), "boundaries need different names in the results", name)


def _check_group(
    group: object, names: Sequence[str], parts: MeshParts, kind: str, key: Key, problems: Problems
) -> None:
    if isinstance(group, int) and (not parts.numbered or 0 < group <= len(names)):
        return
    if group is not None and group not in names:
        problems.add(
            key, f"the mesh has no {kind} of this name; {suggestion(str(group), list(names))}", group
        )
