"""Nodes and elements of version 2.2 of gmsh's format: an element lists its group itself."""

from __future__ import annotations

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.msh.gmsh_sections import Format, finish, numbers_of
from fe2.msh.gmsh_types import Rows, type_of
from fe2.msh.text_numbers import text_numbers, whole


def _first_line(name: str, section: bytes) -> tuple[int, bytes]:
    """The number in the first line, and the rest."""
    line, _, rest = section.partition(b"\n")
    try:
        found = int(line)
    except ValueError as error:
        raise InputError(f"section ${name} begins with no number of entries") from error
    if not 0 <= found <= len(rest):
        raise InputError(f"section ${name} promises {found} entries and does not hold them")
    return found, rest


def nodes_22(sections: dict[str, bytes], form: Format) -> tuple[Ints, Array]:
    """Numbers (n,) and places (n, 3) of the nodes, with or without parameters on their entities.

    Raises:
        InputError: The section does not hold what it promises.
    """
    if "ParametricNodes" in sections:
        return _parametric_nodes(sections["ParametricNodes"], form)
    total, rest = _first_line("Nodes", sections["Nodes"])
    if not form.order:
        values = text_numbers("section $Nodes", rest)
        if len(values) != 4 * total:
            raise InputError(f"section $Nodes promises {total} nodes, and holds {len(values) / 4:g}")
        values = values.reshape(-1, 4)
        return whole("section $Nodes", values[:, 0]), values[:, 1:]
    row = np.dtype([("number", form.order + "i4"), ("point", form.order + "f8", 3)])
    if total * row.itemsize > len(rest):
        raise InputError(f"section $Nodes promises {total} nodes and does not hold them")
    found = np.frombuffer(rest, row, total)
    return found["number"].astype(np.int64), found["point"].astype(np.float64)


def _parametric_nodes(section: bytes, form: Format) -> tuple[Ints, Array]:
    """Nodes with their dimension, entity and parameters on it, of which only number and place count."""
    total, rest = _first_line("ParametricNodes", section)
    rows = _parametric_binary(total, rest, form.order) if form.order else rest.splitlines()
    kept = b"\n".join(b" ".join(row.split()[:4]) for row in rows if row.strip())
    values = text_numbers("section $ParametricNodes", kept)
    if len(values) != 4 * total:
        raise InputError(f"section $ParametricNodes promises {total} nodes, and holds {len(values) / 4:g}")
    values = values.reshape(-1, 4)
    return whole("section $ParametricNodes", values[:, 0]), values[:, 1:]


def _parametric_binary(total: int, data: bytes, order: str) -> list[bytes]:
    numbers, rows = numbers_of("ParametricNodes", data, order), []
    for _ in range(total):
        number, point, place = numbers.ints(), numbers.floats(3), numbers.ints(2)
        numbers.floats(int(place[0]) if place[0] in (1, 2) else 0)
        rows.append(" ".join(map(repr, [*number.tolist(), *point.tolist()])).encode())
    return rows


def elements_22(section: bytes, form: Format) -> list[Rows]:
    """The elements, an element of several groups once for each.

    Raises:
        InputError: The section does not hold what it promises, or elements of an unknown type.
    """
    total, rest = _first_line("Elements", section)
    rows = _binary_22(total, rest, form.order) if form.order else _text_22(rest)
    if sum(len(row.numbers) for row in rows) != total:
        raise InputError(f"section $Elements promises {total} elements and does not hold them")
    return rows


def _text_22(data: bytes) -> list[Rows]:
    """Rows of number, type, number of tags, tags and nodes; runs of one length are taken together."""
    values = whole("section $Elements", text_numbers("section $Elements", data))
    rows, at, run = [], 0, 1
    while at < len(values):
        kind, tags = values[at + 1 : at + 3].tolist() if at + 2 < len(values) else (0, 0)
        width = 3 + tags + type_of(kind).nodes
        run = min(run, (len(values) - at) // width if tags >= 0 else 0)
        if run == 0:
            raise InputError("section $Elements ends too early, or an element in it has a wrong length")
        table = values[at : at + run * width].reshape(run, width)
        alike = (table[:, 1] == kind) & (table[:, 2] == tags)
        same = run if alike.all() else int(np.argmin(alike))
        rows.append(_row_22(kind, table[:same, 0], table[:same, 3 : 3 + tags], table[:same, 3 + tags :]))
        at, run = at + same * width, 2 * run if same == run else 1
    return rows


def _binary_22(total: int, data: bytes, order: str) -> list[Rows]:
    numbers, rows, found = numbers_of("Elements", data, order), [], 0
    while found < total:
        kind, length, tags = numbers.ints(3).tolist()
        width = 1 + tags + type_of(kind).nodes
        if not (0 < length <= total - found and tags >= 0):
            raise InputError(f"section $Elements holds a block of {length} elements with {tags} tags")
        table = numbers.ints(length * width).reshape(length, width)
        rows.append(_row_22(kind, table[:, 0], table[:, 1 : 1 + tags], table[:, 1 + tags :]))
        found += length
    finish(numbers, "Elements")
    return rows


def _row_22(kind: int, numbers: Ints, tags: Ints, nodes: Ints) -> Rows:
    """The first tag is the group, the second the entity."""
    none = np.zeros(len(numbers), np.int64)
    group, entity = (tags[:, k] if tags.shape[1] > k else none for k in (0, 1))
    return Rows(kind, numbers, group, entity, nodes)
