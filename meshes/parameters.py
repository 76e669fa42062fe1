"""What each generator makes of its parameters: lengths that follow from them, or a refusal.

A function for each generator, of the same name and with its keywords, without gmsh, so that a case file can
be checked where no mesh is made. Each raises ValueError with a line for every parameter that is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .checks import at_least, between, checked_size, edge_lengths, one_of, positive, require, require_all

FloatArray = npt.NDArray[np.float64]

ORDERS = (1, 2)
ELEMENTS = ("simplex", "tensor")
LEAST_GAP = 1e-3  # between neighbouring inclusions of an array, in periods
LEAST_RADIUS = 1e-3  # in periods
FINEST = {2: 100.0, 3: 30.0}  # divisions of a period by default, by dimension
FLATTEST = 100.0  # element size over thickness of a layer
SQUARE_LIMIT = math.pi / 4.0
HEXAGONAL_LIMIT = math.pi / (2.0 * math.sqrt(3.0))
CUBIC_LIMIT = math.pi / 6.0
CLOSEST_SPHERES = math.pi / (3.0 * math.sqrt(2.0))


@dataclass(frozen=True, eq=False)
class Inclusions:
    """Equal balls in a periodic box.

    Attributes:
        period: Edge lengths, shape (dim,).
        centres: Shape (n, dim).
        fraction: Volume fraction.
        radius: Of all balls.
        size: Target element size.
        layers: For fibres with a depth, the depth and the number of layers of elements along it.
    """

    period: FloatArray
    centres: FloatArray
    fraction: float
    radius: float
    size: float
    layers: tuple[float, int] | None = None


def square_array(
    *, fraction: float, length: float, dim: int, depth: float | None, size: float | None, order: int
) -> Inclusions:
    """One fibre in the middle of a square."""
    _require_fibres(fraction, SQUARE_LIMIT, length, dim, depth, size, order)
    period = np.array([length, length])
    return _fibres(period, period[None] / 2.0, fraction, depth, size, dim)


def hexagonal_array(
    *, fraction: float, length: float, dim: int, depth: float | None, size: float | None, order: int
) -> Inclusions:
    """One fibre in the middle of a rectangle 1 : √3 and one at its corner."""
    _require_fibres(fraction, HEXAGONAL_LIMIT, length, dim, depth, size, order)
    period = np.array([length, math.sqrt(3.0) * length])
    return _fibres(period, np.array([[0.0, 0.0], period / 2.0]), fraction, depth, size, dim)


def simple_cubic(*, fraction: float, length: float, size: float | None, order: int) -> Inclusions:
    """One sphere in the middle of a cube."""
    limit = CUBIC_LIMIT * (1.0 - LEAST_GAP) ** 3
    _require_array(fraction, limit, CUBIC_LIMIT * 8.0 * LEAST_RADIUS**3, length, size, order)
    period = np.full(3, length)
    size = checked_size(size, period.tolist(), length / 8.0)
    return Inclusions(period, period[None] / 2.0, fraction, ball_radius(fraction, 1, period), size)


def random_fibres(
    *,
    fraction: float,
    count: int,
    gap: float,
    seed: int,
    lengths: Sequence[float],
    size: float | None,
    order: int,
) -> Inclusions:
    """Circles at random."""
    return _packed("fibres", HEXAGONAL_LIMIT, 2, fraction, count, gap, seed, lengths, size, order)


def random_spheres(
    *,
    fraction: float,
    count: int,
    gap: float,
    seed: int,
    lengths: Sequence[float],
    size: float | None,
    order: int,
) -> Inclusions:
    """Spheres at random."""
    return _packed("spheres", CLOSEST_SPHERES, 3, fraction, count, gap, seed, lengths, size, order)


def laminate(
    *,
    fractions: Sequence[float],
    normal: int,
    lengths: Sequence[float],
    elements: str,
    size: float | None,
    order: int,
) -> float:
    """Element size of layers."""
    axes = tuple(range(1, 1 + len(lengths)))
    total = abs(sum(fractions) - 1.0) < 1e-9 and min(fractions, default=0.0) > 1e-6
    require_all(
        edge_lengths(lengths, (2, 3)),
        (normal in axes, "normal", normal, f"must be one of the axes 1 to {len(axes)}"),
        (total, "fractions", tuple(fractions), "must be positive and sum to 1, each at least 1e-6"),
        one_of("elements", elements, ELEMENTS),
        one_of("order", order, ORDERS),
        *positive(size=size),
    )
    return checked_size(size, lengths, min(lengths) / 12.0)


def polycrystal(
    *, grains: int, relax: int, seed: int, lengths: Sequence[float], size: float | None, order: int
) -> float:
    """Element size of Voronoi cells."""
    require_all(
        edge_lengths(lengths, (2, 3)),
        *at_least(2, grains=grains),
        *at_least(0, relax=relax, seed=seed),
        one_of("order", order, ORDERS),
        *positive(size=size),
    )
    grain = (math.prod(lengths) / grains) ** (1.0 / len(lengths))
    return checked_size(size, lengths, min(grain / 4.0, min(lengths) / 6.0))


def perforated_plate(
    *,
    width: float,
    height: float,
    radius: float,
    quarter: bool,
    size: float | None,
    hole_size: float | None,
    order: int,
) -> tuple[float, float]:
    """Element sizes far from the hole and at the hole."""
    require_all(
        *positive(width=width, height=height, radius=radius, size=size, hole_size=hole_size),
        one_of("order", order, ORDERS),
    )
    limit = min(width, height) / 2.0
    require(radius < limit, "radius", radius, f"must be below {limit:.6g}, where the hole cuts the sides")
    size = limit / 10.0 if size is None else size
    hole_size = min(size, radius / 6.0) if hole_size is None else hole_size
    require(hole_size <= size, "hole_size", hole_size, f"must not exceed size = {size:.6g}")
    return size, hole_size


def cook_membrane(
    *, width: float, left: float, right: float, nx: int, ny: int, elements: str, order: int
) -> None:
    """Nothing follows from these parameters."""
    require_all(
        *positive(width=width, left=left, right=right),
        *at_least(1, nx=nx, ny=ny),
        one_of("elements", elements, ELEMENTS),
        one_of("order", order, ORDERS),
    )


def cook_membrane_resolved(
    *,
    spacing: float,
    fraction: float,
    width: float,
    left: float,
    right: float,
    size: float | None,
    order: int,
) -> float:
    """Element size beside fibres that the sides cut."""
    require_all(
        *positive(spacing=spacing, width=width, left=left, right=right, size=size),
        between("fraction", fraction, SQUARE_LIMIT, "the fibres touch"),
        one_of("order", order, ORDERS),
    )
    require(spacing <= width, "spacing", spacing, f"must be at most the width {width:.6g}")
    return checked_size(size, (spacing, spacing), spacing / 12.0)


def tapered_bar(
    *, length: float, start: float, end: float, nx: int, ny: int, elements: str, order: int
) -> None:
    """Nothing follows from these parameters."""
    require_all(
        *positive(length=length, start=start, end=end),
        *at_least(1, nx=nx, ny=ny),
        one_of("elements", elements, ELEMENTS),
        one_of("order", order, ORDERS),
    )


def ball_radius(fraction: float, count: int, period: FloatArray) -> float:
    """Radius of `count` equal balls, in as many dimensions as the box, that fill a fraction of it."""
    unit = math.pi if len(period) == 2 else 4.0 * math.pi / 3.0
    return float((fraction * period.prod() / (count * unit)) ** (1.0 / len(period)))


def _require_array(
    fraction: float, limit: float, least: float, length: float, size: float | None, order: int
) -> None:
    text = f"must lie between {least:.3g}, where the inclusions are points, and {limit:.6g}, where they touch"
    require_all(
        (least <= fraction <= limit, "fraction", fraction, text),
        *positive(length=length, size=size),
        one_of("order", order, ORDERS),
    )


def _require_fibres(
    fraction: float,
    touching: float,
    length: float,
    dim: int,
    depth: float | None,
    size: float | None,
    order: int,
) -> None:
    require_all(
        one_of("dim", dim, (2, 3)),
        (dim == 3 or depth is None, "depth", depth, "is for dim = 3 only"),
        *positive(depth=depth),
    )
    limit, least = touching * (1.0 - LEAST_GAP) ** 2, touching * 4.0 * LEAST_RADIUS**2
    _require_array(fraction, limit, least, length, size, order)


def _fibres(
    period: FloatArray,
    centres: FloatArray,
    fraction: float,
    depth: float | None,
    size: float | None,
    dim: int,
) -> Inclusions:
    radius = ball_radius(fraction, len(centres), period)
    size = checked_size(size, period.tolist(), float(period[0]) / 12.0)
    found = Inclusions(period, centres, fraction, radius, size)
    if dim == 2:
        return found
    depth = 3.0 * size if depth is None else depth
    layers = max(3, math.ceil(depth / size * (1.0 - 1e-9)))
    thinnest = 3.0 * size / FLATTEST
    thickest = size * 1e7 * size**2 / period.prod() / 6.0
    text = f"must lie between {thinnest:.3g}, where elements of size {size:.3g} get flat, and {thickest:.3g}"
    require(bool(thinnest <= depth <= thickest), "depth", depth, text + ", where they outgrow the memory")
    return replace(found, layers=(depth, layers))


def _packed(
    balls: str,
    closest: float,
    dim: int,
    fraction: float,
    count: int,
    gap: float,
    seed: int,
    lengths: Sequence[float],
    size: float | None,
    order: int,
) -> Inclusions:
    from .packing import packed_centres  # which loads SciPy

    require_all(
        between("fraction", fraction, closest, f"equal {balls} touch at best"),
        (LEAST_GAP <= gap < math.inf, "gap", gap, f"must be a number of radii of at least {LEAST_GAP:g}"),
        edge_lengths(lengths, (dim,)),
        *at_least(1, count=count),
        *at_least(0, seed=seed),
        one_of("order", order, ORDERS),
        *positive(size=size),
    )
    period = np.array(lengths, float)
    radius, least = ball_radius(fraction, count, period), LEAST_RADIUS * float(period.min())
    text = f"{count} {balls} of radius {radius:.3g} are points; a radius of {least:.3g} can be meshed"
    require(radius >= least, "fraction", fraction, text)
    finest = min(lengths) / FINEST[dim]  # smaller balls get smaller elements of their own
    size = checked_size(size, lengths, min(max(radius / 2.0, finest), min(lengths) / 12.0))
    centres = packed_centres(count, radius, period, fraction=fraction, gap=gap, seed=seed, balls=balls)
    return Inclusions(period, centres, fraction, radius, size)
