"""Random non-overlapping spheres in a periodic cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import parameters
from .checks import checked_output
from .inclusions import write_inclusions


def random_spheres(
    path: str | Path,
    *,
    fraction: float = 0.2,
    count: int = 8,
    gap: float = 0.1,
    seed: int = 1,
    lengths: Sequence[float] = (1.0, 1.0, 1.0),
    size: float | None = None,
    order: int = 2,
    binary: bool = False,
) -> Path:
    r"""Random spheres of one radius; phases "matrix" and "sphere".

    The radius follows from the volume fraction f, the number n and the volume of the cell,

    .. math:: r = \left(\frac{3 f |Y|}{4 \pi n}\right)^{1/3},

    and no two spheres, periodic images included, are closer than `gap` radii from surface to surface.
    Positions come from random sequential addition, or from the relaxation of overlaps where that finds no
    place. Spheres that cross the boundary continue on the other side.

    Elements are smaller in gaps narrower than `size` and in spheres smaller than it. Nodes are moved so that
    the elements of the spheres have exactly the fraction f.

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the spheres; 0.5 is reached for small gaps.
        count: Number of spheres in the cell.
        gap: Least distance of two spheres' surfaces, in radii.
        seed: Seed of the random positions; the same seed gives the same mesh.
        lengths: The three edge lengths of the cell.
        size: Target element size; by default half a radius, at least a thirtieth and at most a
            twelfth of the shortest edge.
        order: Order of the geometry, 1 or 2 (curved interfaces).
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range, or so many spheres at such a distance find no place.
        RuntimeError: gmsh could not make a valid mesh of it.
    """
    path = checked_output(path)
    inclusions = parameters.random_spheres(
        fraction=fraction, count=count, gap=gap, seed=seed, lengths=lengths, size=size, order=order
    )
    return write_inclusions(path, inclusions, "sphere", order=order, binary=binary)
