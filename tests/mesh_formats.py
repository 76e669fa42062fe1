"""The unit square or cube with two labels, in the formats of other programs."""

from __future__ import annotations

from pathlib import Path

import meshio
import numpy as np
from msh_writer import DIMS, halves

MESHIO = {"triangle": "triangle", "quadrilateral": "quad", "tetrahedron": "tetra", "hexahedron": "hexahedron"}
ABAQUS = {"triangle": "CPE3", "quadrilateral": "CPE4", "tetrahedron": "C3D4", "hexahedron": "C3D8R"}
ENDINGS = ("mesh", "inp", "vtk", "ascii.vtk", "vtu", "ascii.vtu", "raw.vtu")


def write(path: Path, kind: str, labels: tuple[int, int] = (1, 2)) -> Path:
    """A quarter along x has the first label, the rest the second; four by three elements."""
    dim = DIMS[kind]
    msh = halves(kind, 1, (4,) + (3,) * (dim - 1), (0.0,) * dim, (1.0,) * dim)
    cells = np.concatenate([block.nodes for block in msh.blocks])
    values = np.repeat(labels, [len(block.nodes) for block in msh.blocks])
    if path.suffix == ".inp":
        path.write_text(_abaqus(kind, msh.points[:, :dim], cells, values, labels))
        return path
    name = "medit:ref" if path.suffix == ".mesh" else "mat_id"
    points = msh.points[:, :dim] if path.suffix == ".mesh" else msh.points
    mesh = meshio.Mesh(points, [(MESHIO[kind], cells)], cell_data={name: [values]})
    options = {}
    if path.suffix in (".vtk", ".vtu"):
        options["binary"] = ".ascii" not in path.suffixes
    if path.suffix == ".vtu":
        options["compression"] = None if ".raw" in path.suffixes else "zlib"
    meshio.write(path, mesh, **options)
    return path


def _abaqus(
    kind: str, points: np.ndarray, cells: np.ndarray, values: np.ndarray, labels: tuple[int, int]
) -> str:
    """As preprocessors write it: numbers with gaps, a set by its members, one by first, last and step."""
    lines = ["*Heading", "** a comment, with *INCLUDE in it", "*Part, name=cell", "*Node"]
    lines += [f"{10 * k + 10}, {', '.join(map(repr, p))}" for k, p in enumerate(points.tolist())]
    lines.append(f"*Element, type={ABAQUS[kind]}")
    lines += [
        f"{k + 101}, {', '.join(str(10 * n + 10) for n in cell)}" for k, cell in enumerate(cells.tolist())
    ]
    first = np.count_nonzero(values == labels[0])
    lines.append("*Elset, elset=fibre")
    lines += [f"{k + 101}," for k in range(first)]
    lines += ["*Elset, elset=matrix, generate", f"{first + 101}, {len(cells) + 100}, 1", "*End Part", "*Step"]
    return "\n".join(lines) + "\n"
