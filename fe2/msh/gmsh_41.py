"""Nodes and elements of version 4.1 of gmsh's format: they lie on entities, which belong to groups."""

from __future__ import annotations

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.msh.gmsh_sections import Format, Numbers, count, finish, numbers_of
from fe2.msh.gmsh_types import Rows, type_of

_MOST_GROUPS = 32
"""Groups of an entity beyond which a file is damaged: its elements are held once for each."""


def entity_groups(sections: dict[str, bytes], form: Format) -> dict[tuple[int, int], list[int]]:
    """Groups of each entity by (dimension, number); those of a partitioned mesh are its parts."""
    name = "PartitionedEntities" if "PartitionedEntities" in sections else "Entities"
    parts = name == "PartitionedEntities"
    if name not in sections:
        return {}
    numbers = numbers_of(name, sections[name], form.order)
    if parts:
        numbers.sizes()
        numbers.ints(2 * count(numbers, name))
    groups: dict[tuple[int, int], list[int]] = {}
    for dim, total in enumerate(numbers.sizes(4).tolist()):
        if not 0 <= total <= numbers.left():
            raise InputError(f"section ${name} promises {total} entities and does not hold them")
        for _ in range(total):
            entity = int(numbers.ints()[0])
            if parts:
                numbers.ints(2)
                numbers.ints(count(numbers, name))
            numbers.floats(6 if dim else 3)
            groups[dim, entity] = list(dict.fromkeys(numbers.ints(count(numbers, name)).tolist()))
            if len(groups[dim, entity]) > _MOST_GROUPS:
                raise InputError(f"entity {entity} of dimension {dim} is in more than {_MOST_GROUPS} groups")
            if dim:
                numbers.ints(count(numbers, name))
    return groups


def nodes_41(section: bytes, form: Format) -> tuple[Ints, Array]:
    """Numbers (n,) and places (n, 3) of the nodes; parameters on their entities are passed over.

    Raises:
        InputError: The section does not hold what it promises.
    """
    numbers = numbers_of("Nodes", section, form.order)
    blocks, total, *_ = numbers.sizes(4).tolist()
    tags, points = [np.empty(0, np.int64)], [np.empty((0, 3))]
    for _ in range(_fitting(blocks, numbers)):
        dim, _, parametric = numbers.ints(3).tolist()
        length = count(numbers, "Nodes")
        width = 3 + (dim if parametric else 0)
        if not (0 <= dim <= 3 and parametric in (0, 1)):
            raise InputError(f"section $Nodes holds a block of dimension {dim}, parametric = {parametric}")
        tags.append(numbers.sizes(length))
        points.append(numbers.floats(length * width).reshape(length, width)[:, :3])
    return _complete("Nodes", numbers, total, np.concatenate(tags)), np.concatenate(points)


def elements_41(section: bytes, form: Format, groups: dict[tuple[int, int], list[int]]) -> list[Rows]:
    """The elements, an element whose entity is in several groups once for each.

    Raises:
        InputError: The section does not hold what it promises, or elements of an unknown type.
    """
    numbers = numbers_of("Elements", section, form.order)
    blocks, total, *_ = numbers.sizes(4).tolist()
    rows, tags = [], [np.empty(0, np.int64)]
    for _ in range(_fitting(blocks, numbers)):
        dim, entity, kind = numbers.ints(3).tolist()
        length, width = count(numbers, "Elements"), 1 + type_of(kind).nodes
        table = numbers.sizes(length * width).reshape(length, width)
        tags.append(table[:, 0])
        for group in groups.get((dim, entity)) or [0]:
            ones = np.ones(length, np.int64)
            rows.append(Rows(kind, table[:, 0], group * ones, entity * ones, table[:, 1:]))
    _complete("Elements", numbers, total, np.concatenate(tags))
    return rows


def _fitting(blocks: int, numbers: Numbers) -> int:
    if not 0 <= blocks <= numbers.left():
        raise InputError(f"{blocks} blocks of nodes or elements are promised, and the section is too short")
    return blocks


def _complete(name: str, numbers: Numbers, total: int, found: Ints) -> Ints:
    finish(numbers, name)
    if len(found) != total:
        raise InputError(f"section ${name} promises {total} entries, and holds {len(found)}")
    return found
