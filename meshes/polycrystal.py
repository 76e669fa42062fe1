"""Polycrystals as periodic Voronoi tessellations in two and three dimensions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import gmsh
import numpy as np
import numpy.typing as npt

from . import parameters
from .checks import checked_output
from .gmsh_model import add_group
from .periodic_cell import write_periodic_cell
from .voronoi import Tessellation, edges, relax_seeds, tessellate

FloatArray = npt.NDArray[np.float64]

ORIGINS = {2: 64, 3: 8}  # random origins of the cell that are tried, by dimension


def polycrystal(
    path: str | Path,
    *,
    grains: int = 12,
    relax: int = 5,
    seed: int = 1,
    lengths: Sequence[float] = (1.0, 1.0),
    size: float | None = None,
    order: int = 1,
    binary: bool = False,
) -> Path:
    """Periodic Voronoi polycrystal in 2D or 3D; phases "grain_1" … "grain_n".

    A grain is the set of points nearer to its random seed, or to a periodic image of it, than to any other.
    One that crosses the boundary is a single physical group in several pieces. Lloyd's iteration moves the
    seeds to the centroids of their grains, which makes these rounder and more equal, and in 2D removes most
    of the short edges of a Poisson–Voronoi tessellation; the origin of the cell is the one among random ones
    that leaves the longest shortest edge. Edges shorter than `size` are one element long.

    Args:
        path: File to write, ending in .msh.
        grains: Number of grains, at least 2.
        relax: Number of Lloyd iterations; 0 leaves the seeds random.
        seed: Seed of the random positions; the same seed gives the same mesh.
        lengths: The two or three edge lengths of the cell.
        size: Target element size; by default a quarter of a grain, at most a sixth of the shortest edge.
        order: Order of the geometry, 1 or 2; the boundaries of the grains are plane.
        binary: Write a binary file instead of ASCII.

    Returns:
        The path.

    Raises:
        ValueError: A parameter is out of range.
        RuntimeError: Grains do not fit together or gmsh made no valid mesh of them; try another seed.
    """
    path = checked_output(path)
    size = parameters.polycrystal(
        grains=grains, relax=relax, seed=seed, lengths=lengths, size=size, order=order
    )
    period = np.array(lengths, float)
    tessellation = random_tessellation(grains, relax, period / period.max(), seed)

    def build() -> None:
        add_pieces(tessellation)
        for number in range(grains):
            pieces = [piece for piece, owner in enumerate(tessellation.seeds, start=1) if owner == number]
            add_group(len(period), pieces, f"grain_{number + 1}")

    return write_periodic_cell(path, build, period.tolist(), size=size, order=order, binary=binary)


def random_tessellation(grains: int, relax: int, period: FloatArray, seed: int) -> Tessellation:
    """Tessellation by random seeds, with the origin that leaves the longest shortest edge."""
    rng = np.random.default_rng(seed)
    seeds = relax_seeds(rng.uniform(0.0, period, (grains, len(period))), period, relax)
    origins = rng.uniform(0.0, period, (ORIGINS[len(period)], len(period)))
    candidates = (tessellate(np.mod(seeds - origin, period), period) for origin in origins)
    return max(candidates, key=Tessellation.shortest_edge)


def add_pieces(tessellation: Tessellation) -> None:
    """Points, lines, polygons and polyhedra; piece k has the tag k + 1."""
    kernel, dim = gmsh.model.geo, tessellation.vertices.shape[1]
    points = [kernel.addPoint(*vertex, *[0.0] * (3 - dim)) for vertex in tessellation.vertices]
    lines: dict[tuple[int, int], int] = {}
    for first, second in itertools.chain.from_iterable(edges(facet) for facet in tessellation.facets):
        if (first, second) not in lines:
            lines[first, second] = kernel.addLine(points[first], points[second])
            lines[second, first] = -lines[first, second]
    if dim == 2:
        for piece in tessellation.pieces:
            add_polygon([lines[edge] for edge in anticlockwise(tessellation, piece)])
    else:
        facets = [add_polygon([lines[edge] for edge in edges(facet)]) for facet in tessellation.facets]
        for piece in tessellation.pieces:
            kernel.addVolume([kernel.addSurfaceLoop([facets[facet] for facet in piece])])
    kernel.synchronize()


def anticlockwise(tessellation: Tessellation, piece: list[int]) -> list[tuple[int, int]]:
    """Edges of a plane piece in the direction that has the piece at the left, in any order."""
    ends = [tessellation.facets[facet] for facet in piece]
    centre = tessellation.vertices[np.unique(ends)].mean(axis=0)
    directed = []
    for first, second in ends:
        (ax, ay), (bx, by) = tessellation.vertices[[first, second]] - centre
        directed.append((first, second) if ax * by > ay * bx else (second, first))
    return directed


def add_polygon(lines: list[int]) -> int:
    """Plane surface within lines in any order, in the direction of the first."""
    loop = gmsh.model.geo.addCurveLoop(lines, reorient=True)
    return int(gmsh.model.geo.addPlaneSurface([loop]))
