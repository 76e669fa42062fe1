"""Simple cubic array of spheres, one sphere in the middle of the cell."""

from __future__ import annotations

from pathlib import Path

from . import parameters
from .checks import checked_output
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

    Nodes are then moved so that the elements of the sphere have exactly the fraction f: straight or quadratic
    elements within the sphere would fall short of it by O(size²) or O(size⁴).

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the spheres, up to 0.9970 of pi/6, where they touch.
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
    path = checked_output(path)
    inclusions = parameters.simple_cubic(fraction=fraction, length=length, size=size, order=order)
    return write_inclusions(path, inclusions, "sphere", order=order, binary=binary)
