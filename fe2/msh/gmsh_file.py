"""Reads gmsh's .msh files of version 4.1 and 2.2, text and binary, without gmsh.

The format: gmsh.info/doc/texinfo/gmsh.html, "MSH file format".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from fe2.arrays import Ints
from fe2.errors import InputError
from fe2.msh.file import NO_GROUP, Elements, MeshFile, rows_of
from fe2.msh.gmsh_22 import elements_22, nodes_22
from fe2.msh.gmsh_41 import elements_41, entity_groups, nodes_41
from fe2.msh.gmsh_sections import format_of, sections_of
from fe2.msh.gmsh_types import TYPES, VTK_ORDER, Rows


def parse_gmsh(path: str, data: bytes) -> MeshFile:
    """What a .msh file holds.

    Where it has no groups at all, the geometrical entities (surfaces, volumes) are, by their numbers.

    Args:
        path: Where it was read.
        data: Its content.

    Raises:
        InputError: The file is truncated or damaged, or of a version that is not read.
    """
    sections = sections_of(data)
    form = format_of(sections["MeshFormat"])
    names = _group_names(sections.get("PhysicalNames", b""))
    if form.version == "2.2":
        numbers, points = nodes_22(sections, form)
        rows = elements_22(sections["Elements"], form)
    else:
        groups = entity_groups(sections, form)
        numbers, points = nodes_41(sections["Nodes"], form)
        rows = elements_41(sections["Elements"], form, groups)
    elements = tuple(_by_type(rows, numbers))
    if not names and not any((part.groups != NO_GROUP).any() for part in elements):
        elements = tuple(replace(part, groups=part.entities) for part in elements)
    return MeshFile(path, points, numbers, elements, names)


def _by_type(rows: Iterable[Rows], numbers: Ints) -> Iterable[Elements]:
    parts: dict[int, list[Rows]] = {}
    for row in rows:
        parts.setdefault(row.type, []).append(row)
    for type_, found in parts.items():
        name, dim, _ = TYPES[type_]
        columns = list(zip(*found, strict=True))[1:]
        number, group, entity, nodes = (np.concatenate(column) for column in columns)
        at = rows_of(nodes, number, numbers, "$Nodes")
        at = at[:, VTK_ORDER.get(name, range(at.shape[1]))]
        groups = np.where(group == 0, NO_GROUP, np.abs(group))  # negative: reversed orientation
        yield Elements(name, dim, at, groups, entity, number)


def _group_names(section: bytes) -> dict[tuple[int, int], str]:
    """Names of the physical groups by (dimension, number)."""
    names: dict[tuple[int, int], str] = {}
    for line in section.decode("utf-8", "replace").splitlines()[1:]:
        entries = line.split(maxsplit=2)
        if not entries:
            continue
        try:
            dim, number, name = int(entries[0]), int(entries[1]), entries[2].strip()
        except (ValueError, IndexError) as error:
            raise InputError(
                f"section $PhysicalNames holds the line {line!r}: no group and its name"
            ) from error
        quoted = name.startswith('"') and name.endswith('"')
        if not (quoted and 0 <= dim <= 3 and abs(number) < 2**31 and len(name) > 1 and name.isprintable()):
            raise InputError(f"section $PhysicalNames holds the line {line!r}: no group and its name")
        names[dim, number] = name[1:-1]
    return names
