"""Square array of circular fibres, one fibre in the middle of the cell."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from . import parameters
from .checks import checked_output
from .inclusions import write_inclusions


def square_array(
    path: str | Path,
    *,
    fraction: float = 0.3,
    length: float = 1.0,
    dim: Literal[2, 3] = 2,
    depth: float | None = None,
    size: float | None = None,
    order: int = 2,
    binary: bool = False,
) -> Path:
    r"""Square array of circular fibres along the third axis; phases "matrix" and "fibre".

    The radius follows from the volume fraction f and the edge length a,

    .. math:: r = a \sqrt{f / \pi}, \qquad f < \pi / 4.

    Nodes are then moved so that the elements of the fibre have exactly the fraction f: straight or quadratic
    elements within the circle would fall short of it by O(size²) or O(size⁴).

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the fibres, up to 0.9980 of pi/4, where they touch.
        length: Edge length of the square cell.
        dim: 2 for the cross-section, 3 for a cell with fibres of the given depth.
        depth: Edge length along the fibres where dim = 3, three layers of elements or more; by default
            three times `size`.
        size: Target element size; a twelfth of the edge by default.
        order: Order of the geometry, 1 or 2 (curved interfaces).
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range.
        RuntimeError: gmsh could not make a valid mesh of it.
    """
    path = checked_output(path)
    inclusions = parameters.square_array(
        fraction=fraction, length=length, dim=dim, depth=depth, size=size, order=order
    )
    return write_inclusions(path, inclusions, "fibre", order=order, binary=binary)
