"""Simple cubic array of spheres, one sphere in the middle of the cell."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from .checks import checked_output, checked_size, require_fraction, require_positive
from .command_line import run
from .inclusions import write_inclusions


def simple_cubic(
    path: str | Path,
    *,
    fraction: float = 0.2,
    length: float = 1.0,
    size: float | None = None,
    order: int = 2,
    binary: bool = False,
) -> Path:
    r"""Simple cubic array of spheres; phases "matrix" and "sphere".

    The radius follows from the volume fraction f and the edge length a,

    .. math:: r = a \left(\frac{3 f}{4 \pi}\right)^{1/3}, \qquad f < \pi / 6.

    The fraction of the mesh is below f by O(size²) for order 1 and by O(size⁴) for order 2.

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the spheres, below pi/6.
        length: Edge length of the cubic cell.
        size: Target element size; an eighth of the edge by default.
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
    require_fraction(fraction, math.pi / 6.0, "the spheres touch")
    size = checked_size(size, (length,), divisions=8)
    radius = length * (3.0 * fraction / (4.0 * math.pi)) ** (1.0 / 3.0)
    period, centres = np.full(3, length), np.full((1, 3), length / 2)
    return write_inclusions(path, period, centres, radius, "sphere", size=size, order=order, binary=binary)


if __name__ == "__main__":
    run(simple_cubic)
