"""Hexagonal array of circular fibres in a rectangular cell with two fibres."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np

from .checks import checked_output, require_fraction, require_positive
from .command_line import run
from .inclusions import fibre_cell, write_inclusions


def hexagonal_array(
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
    r"""Hexagonal array of circular fibres along the third axis; phases "matrix" and "fibre".

    The cell measures a × √3 a and holds two fibres, one in the middle and a quarter at each corner. The
    radius follows from the volume fraction f and the distance a of neighbouring fibres,

    .. math:: r = a \sqrt{\frac{\sqrt 3 f}{2 \pi}}, \qquad f < \frac{\pi}{2 \sqrt 3}.

    The fraction of the mesh is below f by O(size²) for order 1 and by O(size⁴) for order 2.

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the fibres, below pi/(2 sqrt(3)).
        length: Short edge of the cell, the distance of neighbouring fibres.
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
    require_fraction(fraction, math.pi / (2.0 * math.sqrt(3.0)), "the fibres touch")
    height = math.sqrt(3.0) * length
    period, size = fibre_cell((length, height), dim, depth, size)
    radius = length * math.sqrt(math.sqrt(3.0) * fraction / (2.0 * math.pi))
    centres = np.array([[0.0, 0.0], [length / 2, height / 2]])
    return write_inclusions(path, period, centres, radius, "fibre", size=size, order=order, binary=binary)


if __name__ == "__main__":
    run(hexagonal_array)
