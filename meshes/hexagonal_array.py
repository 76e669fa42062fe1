"""Hexagonal array of circular fibres in a rectangular cell with two fibres."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from . import parameters
from .checks import checked_output
from .inclusions import write_inclusions


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

    Nodes are then moved so that the elements of the fibres have exactly the fraction f: straight or quadratic
    elements within the circles would fall short of it by O(size²) or O(size⁴).

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the fibres, up to 0.9980 of pi/(2 sqrt(3)), where they touch.
        length: Short edge of the cell, the distance of neighbouring fibres.
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
    inclusions = parameters.hexagonal_array(
        fraction=fraction, length=length, dim=dim, depth=depth, size=size, order=order
    )
    return write_inclusions(path, inclusions, "fibre", order=order, binary=binary)
