"""Small structured meshes as arrays in gmsh's node order, and .msh files of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Corners of the elements of one block of the grid, and the sides of gmsh's mid-nodes as sets of corners.
SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]
CUBE = [(x, y, z) for z in (0, 1) for x, y in SQUARE]
QUAD_SIDES = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 1, 2, 3)]
TET_SIDES = [(0, 1), (1, 2), (2, 0), (3, 0), (3, 2), (3, 1)]
HEX_EDGES = [
    *[(0, 1), (0, 3), (0, 4), (1, 2), (1, 5), (2, 3)],
    *[(2, 6), (3, 7), (4, 5), (4, 7), (5, 6), (6, 7)],
]
HEX_SIDES = [*HEX_EDGES, (0, 3, 2, 1), (0, 1, 5, 4), (0, 4, 7, 3), (1, 2, 6, 5), (2, 3, 7, 6), (4, 5, 6, 7)]
KUHN = [
    [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)],
    [(0, 0, 0), (1, 1, 0), (0, 1, 0), (1, 1, 1)],
    [(0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 1, 1)],
    [(0, 0, 0), (0, 1, 1), (0, 0, 1), (1, 1, 1)],
    [(0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1)],
    [(0, 0, 0), (1, 0, 1), (1, 0, 0), (1, 1, 1)],
]
KINDS = {
    "triangle": ([SQUARE[:3], [SQUARE[0], *SQUARE[2:]]], TET_SIDES[:3]),
    "quadrilateral": ([SQUARE], QUAD_SIDES),
    "tetrahedron": (KUHN, TET_SIDES),
    "hexahedron": ([CUBE], [*HEX_SIDES, tuple(range(8))]),
}
GMSH_TYPES = {
    ("triangle", 1): 2,
    ("quadrilateral", 1): 3,
    ("tetrahedron", 1): 4,
    ("hexahedron", 1): 5,
    ("triangle", 2): 9,
    ("quadrilateral", 2): 10,
    ("tetrahedron", 2): 11,
    ("hexahedron", 2): 12,
}


@dataclass
class Block:
    """Elements of one gmsh type, entity and physical group (0: none, negative: reversed).

    Two blocks with the same array of nodes are the same elements, in two groups.
    """

    type: int
    nodes: Ints
    group: int
    entity: int = 1
    dim: int = 2


@dataclass
class Msh:
    """A mesh to be written; node k has the number k + 1."""

    points: Floats
    blocks: list[Block]
    names: list[tuple[int, int, str]] = field(default_factory=list)

    def write(self, path: Path, version: str = "2.2", binary: bool = False) -> Path:
        """Write version 2.2 or 4.1, as text or in binary."""
        writer = _Writer(binary)
        writer.line("$MeshFormat").line(f"{version} {int(binary)} 8")
        if binary:
            writer.numbers("i4", 1).line("")
        writer.line("$EndMeshFormat")
        if self.names:
            writer.line("$PhysicalNames").line(str(len(self.names)))
            for dim, number, name in self.names:
                writer.line(f'{dim} {number} "{name}"')
            writer.line("$EndPhysicalNames")
        self._write_22(writer) if version == "2.2" else self._write_41(writer)
        path.write_bytes(writer.content)
        return path

    def _write_22(self, writer: _Writer) -> None:
        writer.line("$Nodes").line(str(len(self.points)))
        for number, point in enumerate(self.points, 1):
            writer.row([number], point.tolist())
        writer.line("$EndNodes").line("$Elements").line(str(sum(len(b.nodes) for b in self.blocks)))
        number = 0
        for block in self.blocks:
            for nodes in block.nodes:
                number += 1
                head = [block.type, 1, 2, number] if writer.binary else [number, block.type, 2]
                writer.row([*head, block.group, block.entity, *(nodes + 1).tolist()])
        writer.line("$EndElements")

    def _write_41(self, writer: _Writer) -> None:
        writer.line("$Entities")
        entities: dict[tuple[int, int], list[int]] = {}
        for block in self.blocks:
            groups = entities.setdefault((block.dim, block.entity), [])
            groups += [block.group] * (block.group != 0 and block.group not in groups)
        writer.numbers("u8", *[sum(dim == d for dim, _ in entities) for d in range(4)])
        for (dim, entity), groups in sorted(entities.items()):
            writer.numbers("i4", entity).numbers("f8", *[0.0] * (3 if dim == 0 else 6))
            writer.numbers("u8", len(groups)).numbers("i4", *groups)
            if dim:
                writer.numbers("u8", 0)
        writer.line("").line("$EndEntities").line("$Nodes")
        count = len(self.points)
        writer.numbers("u8", 1, count, 1, count).numbers("i4", 2, 1, 0).numbers("u8", count)
        writer.numbers("u8", *range(1, count + 1)).numbers("f8", *self.points.ravel().tolist())
        writer.line("").line("$EndNodes").line("$Elements")
        blocks = list({id(block.nodes): block for block in self.blocks}.values())
        total = sum(len(b.nodes) for b in blocks)
        writer.numbers("u8", len(blocks), total, 1, total)
        number = 0
        for block in blocks:
            writer.numbers("i4", block.dim, block.entity, block.type).numbers("u8", len(block.nodes))
            for nodes in block.nodes:
                number += 1
                writer.numbers("u8", number, *(nodes + 1).tolist())
        writer.line("").line("$EndElements")


class _Writer:
    def __init__(self, binary: bool) -> None:
        self.binary = binary
        self.content = b""

    def line(self, text: str) -> _Writer:
        self.content += text.encode() + b"\n"
        return self

    def row(self, ints: Sequence[int], floats: Sequence[float] = ()) -> _Writer:
        text = " ".join(map(repr, [*ints, *floats])) + "\n"
        data = np.array(ints, "<i4").tobytes() + np.array(floats, "<f8").tobytes()
        self.content += data if self.binary else text.encode()
        return self

    def numbers(self, kind: str, *values: float) -> _Writer:
        text = " ".join(map(repr, values)) + "\n"
        self.content += np.array(values, "<" + kind).tobytes() if self.binary else text.encode()
        return self


def grid(
    kind: str, order: int, shape: Sequence[int], lower: Sequence[float], size: Sequence[float]
) -> tuple[Floats, Ints]:
    """Nodes (n, 3) and elements in gmsh's order of a box of `shape` blocks from `lower` with edges `size`."""
    dim = len(shape)
    counts = np.array(shape) * order + 1
    lattice = np.stack(np.meshgrid(*[np.arange(n) for n in counts], indexing="ij"), -1).reshape(-1, dim)
    points = np.zeros((len(lattice), 3))
    points[:, :dim] = np.array(lower) + lattice / (counts - 1) * np.array(size)
    elements, sides = KINDS[kind]
    blocks = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1).reshape(-1, 1, dim)
    rows = []
    for corners in elements:
        local = order * np.array(corners, dtype=float)
        if order == 2:
            local = np.concatenate([local, [local[list(side)].mean(axis=0) for side in sides]])
        nodes = np.rint(order * blocks + local).astype(np.int64)
        rows.append(np.ravel_multi_index(tuple(np.moveaxis(nodes, -1, 0)), tuple(counts)))
    return points, np.stack(rows, axis=1).reshape(-1, rows[0].shape[1])


def centres(points: Floats, elements: Ints, kind: str) -> Floats:
    """Means of the elements' corners."""
    return points[elements[:, : len(KINDS[kind][0][0])]].mean(axis=1)


def halves(
    kind: str,
    order: int = 1,
    shape: Sequence[int] = (4, 3),
    lower: Sequence[float] = (0.0, 0.0),
    size: Sequence[float] = (1.0, 1.0),
) -> Msh:
    """A box whose lower quarter along x is 'fibre' (group 7) and whose rest is 'matrix' (group 3)."""
    points, elements = grid(kind, order, shape, lower, size)
    fibre = centres(points, elements, kind)[:, 0] < lower[0] + size[0] / 4
    type_, dim = GMSH_TYPES[kind, order], len(shape)
    return Msh(
        points,
        [Block(type_, elements[fibre], 7, 1, dim), Block(type_, elements[~fibre], 3, 2, dim)],
        [(dim, 7, "fibre"), (dim, 3, "matrix")],
    )


BOXES = {2: ((4, 3), (3.0, -2.0), (2.0, 1.0)), 3: ((4, 3, 3), (3.0, -2.0, 5.0), (2.0, 1.0, 1.5))}
DIMS = {"triangle": 2, "quadrilateral": 2, "tetrahedron": 3, "hexahedron": 3}


def box(kind: str, order: int) -> Msh:
    """A box of one kind of element, away from the origin, with two phases."""
    return halves(kind, order, *BOXES[DIMS[kind]])
