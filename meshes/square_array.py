"""Square array of circular fibres, one fibre in the middle of the cell."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np

from .checks import checked_output, require_fraction, require_positive
from .command_line import run
from .inclusions import fibre_cell, write_inclusions


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

    The fraction of the mesh is below f by O(size²) for order 1 and by O(size⁴) for order 2.

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the fibres, below pi/4.
        length: Edge length of the square cell.
        dim: 2 for the cross-section, 3 for a cell with fibres of the given depth.
        depth: Edge length along the fibres where dim = 3; three elements by default.
        size: Target element size; a twelfth of the edge by default.
        order: Order of the geometry, 1 or 2 (curved interfaces).
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range.
        RuntimeError: gmsh could not make a valid mesh of it.
    """
    path = checked_output(path, order)
    require_positive(length=length)
    require_fraction(fraction, math.pi / 4, "the fibres touch")
    period, size = fibre_cell((length, length), dim, depth, size)
    radius = length * math.sqrt(fraction / math.pi)
    centres = np.array([[length / 2, length / 2]])
    return write_inclusions(path, period, centres, radius, "fibre", size=size, order=order, binary=binary)


if __name__ == "__main__":
    run(square_array)
