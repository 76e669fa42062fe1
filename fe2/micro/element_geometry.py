"""Volumes and Jacobian determinants of elements with straight or curved edges, without compiled forms."""

from __future__ import annotations

from collections.abc import Iterator

import basix
import dolfinx.mesh
import numpy as np

from fe2.arrays import Array

_AT_ONCE = 1_000_000
"""Determinants computed at once, which bounds the memory."""


def volumes(mesh: dolfinx.mesh.Mesh[np.float64]) -> Array:
    """Volumes (areas in two dimensions) of this rank's cells and ghosts, shape (k,).

    The Jacobian determinant is a polynomial; the quadrature is exact for it.
    """
    points, weights = basix.make_quadrature(mesh.basix_cell(), _determinant_degree(mesh))
    return np.concatenate([np.abs(det @ weights) for _, det in _determinants(mesh, points)])


def extreme_determinants(mesh: dolfinx.mesh.Mesh[np.float64]) -> tuple[Array, Array]:
    """Smallest and largest Jacobian determinant of this rank's cells and ghosts, each of shape (k,).

    The polynomial is sampled on a lattice of its degree, corners and edges included, and divided by
    the cell's longest extent to the power of the dimension.
    """
    degree = max(_determinant_degree(mesh), 1)
    lattice = basix.create_lattice(mesh.basix_cell(), degree, basix.LatticeType.equispaced, True)
    lowest, highest = [], []
    for nodes, det in _determinants(mesh, lattice):
        size = np.ptp(nodes, axis=1).max(axis=1) ** mesh.topology.dim
        size[size == 0] = 1.0
        lowest.append(det.min(axis=1) / size)
        highest.append(det.max(axis=1) / size)
    return np.concatenate(lowest), np.concatenate(highest)


def _determinant_degree(mesh: dolfinx.mesh.Mesh[np.float64]) -> int:
    order, dim = mesh.geometry.cmaps[0].degree, mesh.topology.dim
    simplex = mesh.basix_cell() in (basix.CellType.triangle, basix.CellType.tetrahedron)
    return int(dim * (order - 1) if simplex else dim * order - 1)


def _determinants(mesh: dolfinx.mesh.Mesh[np.float64], points: Array) -> Iterator[tuple[Array, Array]]:
    """Nodes (k, n, d) and signed determinants (k, q) at reference points, for some cells at a time."""
    geometry, dim = mesh.geometry, mesh.topology.dim
    coordinates = geometry.cmaps[0]
    element = basix.create_element(
        basix.ElementFamily.P,
        mesh.basix_cell(),
        coordinates.degree,
        basix.LagrangeVariant(coordinates.variant),
    )
    slopes = element.tabulate(1, points)[1:, :, :, 0].transpose(2, 1, 0).reshape(element.dim, -1)
    step = max(_AT_ONCE // len(points), 1)
    dofmap = geometry.dofmaps[0]
    for start in range(0, max(len(dofmap), 1), step):
        nodes = geometry.x[dofmap[start : start + step]][:, :, :dim]
        jacobian = nodes.transpose(0, 2, 1) @ slopes
        yield nodes, _determinant(jacobian.reshape(len(nodes), dim, len(points), dim))


def _determinant(J: Array) -> Array:
    """Determinants of the matrices J[k, :, q, :], shape (k, q); a closed formula is faster than LAPACK."""
    a = [[J[:, i, :, j] for j in range(J.shape[1])] for i in range(J.shape[1])]
    if len(a) == 2:
        return a[0][0] * a[1][1] - a[0][1] * a[1][0]
    minors = [a[1][j - 2] * a[2][j - 1] - a[1][j - 1] * a[2][j - 2] for j in range(3)]
    return a[0][0] * minors[0] + a[0][1] * minors[1] + a[0][2] * minors[2]
