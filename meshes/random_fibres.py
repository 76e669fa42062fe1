"""Random non-overlapping circular fibres in a periodic cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .checks import checked_output, checked_period, checked_size, require_count, require_fraction
from .command_line import run
from .inclusions import write_inclusions
from .packing import packed_centres


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
    place. Fibres that cross the boundary continue on the other side. Elements are smaller in gaps narrower
    than `size`.

    Args:
        path: File to write, ending in .msh.
        fraction: Volume fraction of the fibres; 0.6 is reached for gaps of a few tenths.
        count: Number of fibres in the cell.
        gap: Least distance of two fibres' surfaces, in radii.
        seed: Seed of the random positions; the same seed gives the same mesh.
        lengths: The two edge lengths of the cell.
        size: Target element size; by default half a radius, at most a twelfth of the shorter edge.
        order: Order of the geometry, 1 or 2 (curved interfaces).
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range, or so many fibres at such a distance find no place.
        RuntimeError: gmsh could not make a valid mesh of it.
    """
    path = checked_output(path, order)
    lengths = checked_period(lengths, (2,))
    period = np.array(lengths)
    require_fraction(fraction, math.pi / (2.0 * math.sqrt(3.0)), "equal circles touch at best")
    require_count("count", count, 1)
    radius = math.sqrt(fraction * period.prod() / (count * math.pi))
    size = checked_size(size if size is not None else min(radius / 2.0, min(lengths) / 12.0), lengths)
    centres = packed_centres(count, radius, period, fraction=fraction, gap=gap, seed=seed, balls="fibres")
    return write_inclusions(path, period, centres, radius, "fibre", size=size, order=order, binary=binary)


if __name__ == "__main__":
    run(random_fibres)
