"""Random non-overlapping circular fibres in a periodic cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import parameters
from .checks import checked_output
from .inclusions import write_inclusions


def random_fibres(
    path: str | Path,
    *,
    fraction: float = 0.4,
    count: int = 20,
    gap: float = 0.1,
    seed: int = 1,
    lengths: Sequence[float] = (1.0, 1.0),
    size: float | None = None,
    order: int = 2,
    binary: bool = False,
) -> Path:
    r"""Random circular fibres of one radius, 2D cross-section; phases "matrix" and "fibre".

    The radius follows from the volume fraction f, the number n and the area of the cell,

    .. math:: r = \sqrt{\frac{f |Y|}{n \pi}},

    and no two fibres, periodic images included, are closer than `gap` radii from surface to surface.
    Positions come from random sequential addition, or from the relaxation of overlaps where that finds no
    place. Fibres that cross the boundary continue on the other side.

    Elements are smaller in gaps narrower than `size` and in fibres smaller than it. Nodes are moved so that
    the elements of the fibres have exactly the fraction f.

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the fibres; 0.6 is reached for gaps of a few tenths.
        count: Number of fibres in the cell.
        gap: Least distance of two fibres' surfaces, in radii.
        seed: Seed of the random positions; the same seed gives the same mesh.
        lengths: The two edge lengths of the cell.
        size: Target element size; by default half a radius, at least a hundredth and at most a
            twelfth of the shorter edge.
        order: Order of the geometry, 1 or 2 (curved interfaces).
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range, or so many fibres at such a distance find no place.
        RuntimeError: gmsh could not make a valid mesh of it.
    """
    path = checked_output(path)
    inclusions = parameters.random_fibres(
        fraction=fraction, count=count, gap=gap, seed=seed, lengths=lengths, size=size, order=order
    )
    return write_inclusions(path, inclusions, "fibre", order=order, binary=binary)
