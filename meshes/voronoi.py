"""Periodic Voronoi tessellation of a box in two or three dimensions, cut at the box.

Inside the box the tessellation by the seeds and their images in the neighbouring cells is the periodic one:
the nearest image of a seed is never farther than half a period along any axis.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import Voronoi, cKDTree

from .periodic_images import images, nearest_images

FloatArray = npt.NDArray[np.float64]

ON_PLANE = 1e-10  # distance, in periods, within which a point lies on a plane
SAME_POINT = 1e-8  # distance, in periods, within which two vertices are one
RELAXATION_GRID = {2: 96, 3: 32}  # points along each axis that measure the centroids


@dataclass(frozen=True)
class Tessellation:
    """Convex pieces of a box.

    Attributes:
        vertices: Shape (n, dim).
        facets: Vertices of every facet (edge in 2D, polygon in 3D) in cyclic order.
        pieces: Facets of every piece.
        seeds: The seed that every piece belongs to, from 0; a cell cut by the box has several pieces.
    """

    vertices: FloatArray
    facets: list[tuple[int, ...]]
    pieces: list[list[int]]
    seeds: list[int]

    def shortest_edge(self) -> float:
        """Length of the shortest edge of any piece."""
        ends = np.array([edge for facet in self.facets for edge in edges(facet)])
        return float(np.min(np.linalg.norm(self.vertices[ends[:, 0]] - self.vertices[ends[:, 1]], axis=1)))


def edges(facet: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pairs of consecutive vertices of a polygon; both directions of an edge in 2D."""
    return list(zip(facet, facet[1:] + facet[:1], strict=True))


def relax_seeds(seeds: FloatArray, period: FloatArray, iterations: int) -> FloatArray:
    """Lloyd's iteration: move every seed to the centroid of its periodic cell."""
    divisions = RELAXATION_GRID[len(period)]
    grid = (np.indices((divisions,) * len(period)).reshape(len(period), -1).T + 0.5) / divisions * period
    for _ in range(iterations):
        _, owner = cKDTree(seeds, boxsize=period).query(grid)
        offsets = nearest_images(grid - seeds[owner], period)
        sums = np.array([np.bincount(owner, column, len(seeds)) for column in offsets.T]).T
        counts = np.bincount(owner, minlength=len(seeds))
        seeds = np.mod(seeds + sums / np.maximum(counts, 1)[:, None], period)
    return seeds


def tessellate(seeds: FloatArray, period: FloatArray) -> Tessellation:
    """Periodic Voronoi cells of the seeds, shape (n, dim), cut at the box from 0 to `period`.

    Raises:
        RuntimeError: Pieces do not fit together, where several vertices nearly coincide.
    """
    dim = len(period)
    points = (images(dim)[:, None, :] * period + seeds).reshape(-1, dim)
    neighbours: list[list[int]] = [[] for _ in points]
    for first, second in Voronoi(points).ridge_points:
        neighbours[first].append(second)
        neighbours[second].append(first)
    polygons: list[list[FloatArray]] = []
    owners: list[int] = []
    for point in np.flatnonzero(reaches_box(points, period)):
        facets = cut_cell(points[point], points[neighbours[point]], period)
        if facets:
            polygons.append(facets)
            owners.append(int(point) % len(seeds))
    return joined(polygons, owners, period)


def reaches_box(points: FloatArray, period: FloatArray) -> npt.NDArray[np.bool_]:
    """Points whose cells may meet the box: no place in it is farther from a seed than the covering radius."""
    axes = [np.linspace(0.0, length, 17) for length in period]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(period))
    covering = cKDTree(points).query(grid)[0].max() + np.linalg.norm(period) / 32.0
    outside = np.maximum(np.maximum(-points, points - period), 0.0)
    reaching: npt.NDArray[np.bool_] = np.linalg.norm(outside, axis=1) <= covering
    return reaching


def cut_cell(point: FloatArray, neighbours: FloatArray, period: FloatArray) -> list[FloatArray]:
    """Facets of one Voronoi cell cut at the box, each the coordinates of its vertices in cyclic order.

    The vertices are the intersections of dim planes (bisectors and sides of the box) that lie on the inner
    side of all others.
    """
    dim = len(period)
    bisectors = neighbours - point
    lengths = np.linalg.norm(bisectors, axis=1)
    normals = np.concatenate([bisectors / lengths[:, None], np.eye(dim), -np.eye(dim)])
    middle = np.sum((neighbours + point) / 2.0 * bisectors, axis=1) / lengths
    offsets = np.concatenate([middle, period, np.zeros(dim)])
    corners = np.array(list(itertools.combinations(range(len(offsets)), dim)))
    corners = corners[np.abs(np.linalg.det(normals[corners])) > 1e-9]
    vertices = np.linalg.solve(normals[corners], offsets[corners][:, :, None])[:, :, 0]
    tolerance = ON_PLANE * max(period)
    vertices = vertices[np.all(vertices @ normals.T <= offsets + tolerance, axis=1)]
    on_plane = np.abs(vertices @ normals.T - offsets) <= tolerance
    facets = [ordered(distinct(vertices[on_plane[:, k]], period), normals[k]) for k in range(len(offsets))]
    facets = [facet for facet in facets if len(facet) >= dim]
    return facets if len(facets) > dim else []


def distinct(vertices: FloatArray, period: FloatArray) -> FloatArray:
    """The vertices without repetitions, which arise where more than dim planes meet."""
    close = np.linalg.norm(vertices[:, None] - vertices[None, :], axis=2) < SAME_POINT * max(period)
    return vertices[~np.any(np.tril(close, -1), axis=1)]


def ordered(vertices: FloatArray, normal: FloatArray) -> FloatArray:
    """Vertices of a convex polygon in cyclic order about its normal; the two ends of an edge as they are."""
    if len(normal) == 2 or len(vertices) < 3:
        return vertices
    from_centre = vertices - vertices.mean(axis=0)
    first = from_centre[0] / np.linalg.norm(from_centre[0])
    angles = np.arctan2(from_centre @ np.cross(normal, first), from_centre @ first)
    return vertices[np.argsort(angles)]


def joined(polygons: list[list[FloatArray]], owners: list[int], period: FloatArray) -> Tessellation:
    """Number the vertices and facets of all pieces, those of neighbours being the same."""
    flat = np.concatenate([facet for piece in polygons for facet in piece])
    representative = np.arange(len(flat))
    for first, second in sorted(cKDTree(flat).query_pairs(SAME_POINT * max(period))):
        representative[second] = min(representative[second], representative[first])
    kept, number = np.unique(representative, return_inverse=True)
    facets: list[tuple[int, ...]] = []
    index: dict[frozenset[int], int] = {}
    pieces: list[list[int]] = []
    start = 0
    for piece in polygons:
        pieces.append([])
        for facet in piece:
            cycle = tuple(int(vertex) for vertex in number[start : start + len(facet)])
            start += len(facet)
            if frozenset(cycle) not in index:
                index[frozenset(cycle)] = len(facets)
                facets.append(cycle)
            pieces[-1].append(index[frozenset(cycle)])
    tessellation = Tessellation(flat[kept], facets, pieces, owners)
    check_conformity(tessellation, period)
    return tessellation


def check_conformity(tessellation: Tessellation, period: FloatArray) -> None:
    """Every facet bounds two pieces, or one and lies on a side of the box."""
    uses = np.bincount(np.concatenate(tessellation.pieces), minlength=len(tessellation.facets))
    margin = SAME_POINT * max(period)
    for facet, count in zip(tessellation.facets, uses, strict=True):
        corners = tessellation.vertices[list(facet)]
        on_box = np.any(
            np.all(np.abs(corners) < margin, axis=0) | np.all(np.abs(corners - period) < margin, axis=0)
        )
        if count != (1 if on_box else 2):
            raise RuntimeError(
                f"Voronoi cells do not fit together at {np.round(corners.mean(axis=0), 6).tolist()}"
            )
