"""Unstructured grids in VTK's XML format: what ParaView, pyvista and meshio open.

DOLFINx's own writer is not used for results: it leaves truncated files on a full disk without an
error, writes the collection of time steps only when a run ends, and knows no subfolders. Every
file here appears under its name only when it is complete, so a run that is killed leaves nothing
that cannot be read. Numbers are stored in binary, exactly.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array
from fe2.errors import Fe2Error

_TYPES = {"float64": "Float64", "int64": "Int64", "uint8": "UInt8"}


@dataclass(frozen=True)
class Grid:
    """Nodes and cells.

    Attributes:
        points: Coordinates of the nodes, shape (nodes, 3).
        cells: Nodes of each cell in VTK's order, shape (cells, nodes of a cell).
        types: VTK's type of each cell, shape (cells,).
    """

    points: Array
    cells: npt.NDArray[np.integer]
    types: npt.NDArray[np.integer]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that names the file.

    Raises:
        Fe2Error: The file could not be written.
    """
    try:
        yield
    except OSError as error:
        raise Fe2Error(f"cannot write {path}: {error.strerror or error}") from error


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file that is there completely or not at all.

    Raises:
        Fe2Error: The file could not be written; what stood under its name is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    unfinished = path.with_name(path.name + ".part")
    with naming(path):
        try:
            unfinished.write_bytes(data)
            os.replace(unfinished, path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise


def write_vtu(
    path: Path, grid: Grid, point_data: Mapping[str, Array], cell_data: Mapping[str, Array]
) -> None:
    """Write a grid with its fields.

    Args:
        path: File name, ending in ``.vtu``.
        grid: Nodes and cells.
        point_data: Values at the nodes by name, shape (nodes,) or (nodes, components). Vectors of
            two components get a third one, zero, without which VTK takes them for no vectors.
        cell_data: Values in the cells by name, shape (cells,) or (cells, components).

    Raises:
        Fe2Error: The file could not be written.
    """
    count, size = grid.cells.shape
    cells = {
        "connectivity": grid.cells.reshape(-1).astype(np.int64),
        "offsets": size * np.arange(1, count + 1, dtype=np.int64),
        "types": grid.types.astype(np.uint8),
    }
    write_whole(
        path,
        _document(
            "UnstructuredGrid",
            f'<UnstructuredGrid>\n<Piece NumberOfPoints="{len(grid.points)}" NumberOfCells="{count}">\n'
            + _section("Points", {"coordinates": grid.points})
            + _section("Cells", cells)
            + _section("PointData", _stored(point_data))
            + _section("CellData", _stored(cell_data))
            + "</Piece>\n</UnstructuredGrid>\n",
        ),
    )


def write_pvtu(
    path: Path, pieces: Sequence[str], point_data: Mapping[str, int], cell_data: Mapping[str, int]
) -> None:
    """Write the file that makes one grid of the pieces of several ranks.

    Args:
        path: File name, ending in ``.pvtu``.
        pieces: File names of the pieces, relative to the folder of `path`.
        point_data: Number of components of each nodal field in the pieces, by name.
        cell_data: The same of each field in the cells.

    Raises:
        Fe2Error: The file could not be written.
    """
    write_whole(
        path,
        _document(
            "PUnstructuredGrid",
            '<PUnstructuredGrid GhostLevel="0">\n'
            + _declarations("PPoints", {"coordinates": 3})
            + _declarations("PPointData", _stored_components(point_data))
            + _declarations("PCellData", _stored_components(cell_data))
            + "".join(f"<Piece Source={quoteattr(piece)}/>\n" for piece in pieces)
            + "</PUnstructuredGrid>\n",
        ),
    )


def write_pvd(path: Path, steps: Sequence[tuple[float, str]]) -> None:
    """Write the collection of time steps, each a time and a file name relative to the folder of `path`.

    Raises:
        Fe2Error: The file could not be written.
    """
    lines = "".join(
        f'<DataSet timestep="{time!r}" part="0" file={quoteattr(file)}/>\n' for time, file in steps
    )
    write_whole(path, _document("Collection", f"<Collection>\n{lines}</Collection>\n"))


def _stored(fields: Mapping[str, Array]) -> dict[str, Array]:
    """Fields in the shape in which they are written: (n,), or (n, components) but never (n, 2)."""
    columns = {name: values.reshape(len(values), -1) for name, values in fields.items()}
    return {
        name: np.column_stack([values, np.zeros(len(values))]) if values.shape[1] == 2 else values
        for name, values in columns.items()
    }


def _stored_components(components: Mapping[str, int]) -> dict[str, int]:
    return {name: 3 if count == 2 else count for name, count in components.items()}


def _document(kind: str, content: str) -> str:
    return (
        '<?xml version="1.0"?>\n'
        # from version 2.2 on, nodes of hexahedra of higher degree stand in the order that DOLFINx uses
        f'<VTKFile type="{kind}" version="2.2" byte_order="LittleEndian" header_type="UInt64">\n'
        f"{content}</VTKFile>\n"
    )


def _section(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    return f"<{name}>\n" + "".join(_array(title, values) for title, values in arrays.items()) + f"</{name}>\n"


def _array(name: str, values: npt.NDArray[Any]) -> str:
    data = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    encoded = base64.b64encode(np.array([len(data)], dtype="<u8").tobytes() + data).decode()
    components = values.shape[1] if values.ndim == 2 else 1
    opening = _opening("DataArray", name, _TYPES[values.dtype.name], components)
    return f'{opening} format="binary">{encoded}</DataArray>\n'


def _declarations(section: str, arrays: Mapping[str, int]) -> str:
    lines = (f"{_opening('PDataArray', name, 'Float64', count)}/>\n" for name, count in arrays.items())
    return f"<{section}>\n" + "".join(lines) + f"</{section}>\n"


def _opening(tag: str, name: str, kind: str, components: int) -> str:
    return f'<{tag} type="{kind}" Name={quoteattr(name)} NumberOfComponents="{components}"'
