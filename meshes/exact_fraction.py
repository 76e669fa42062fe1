"""Nodes moved a little so that balls of straight or quadratic elements have exactly the wanted volume.

Elements with their nodes on a circle or a sphere fill less than the ball, by O(size²) for order 1 and by
O(size⁴) for order 2. Stretched about its centre, the mesh of a ball gains what it lacks.
"""

from __future__ import annotations

from collections.abc import Callable

import gmsh
import numpy as np
import numpy.typing as npt

from .periodic_images import images, nearest_images

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ITERATIONS = 30
ROUND_OFF = 1e-14


def stretched(
    nodes: FloatArray,
    centres: FloatArray,
    radius: float,
    period: FloatArray,
    size: float,
    volume: Callable[[FloatArray], float],
    target: float,
) -> FloatArray:
    """Nodes in balls stretched about their centres until the balls have the wanted volume.

    Nodes beside a ball follow, less and less over a distance of `size` or of the narrowest gap. Nodes on the
    faces of the box stay there.

    Args:
        nodes: Shape (n, 3), in the box from 0 to `period`.
        centres: Of the balls in the cell, shape (m, dim).
        radius: Of the balls.
        period: Edge lengths of the box, shape (dim,).
        size: Element size.
        volume: Volume of the balls' elements for given nodes.
        target: What it is to be.
    """
    direction = stretching(nodes[:, : len(period)], centres, radius, period, size)
    step = np.zeros_like(nodes)
    step[:, : len(period)] = direction
    stretch, found = 0.0, volume(nodes)
    slope = len(period) * found  # of the volume of whole balls
    for _ in range(ITERATIONS):
        change = (target - found) / slope
        if abs(change) < ROUND_OFF:
            break
        stretch += change
        before, found = found, volume(nodes + stretch * step)
        slope = (found - before) / change
    moved: FloatArray = nodes + stretch * step
    return moved


def stretching(
    nodes: FloatArray, centres: FloatArray, radius: float, period: FloatArray, size: float
) -> FloatArray:
    """Displacement of the nodes for a unit stretch of all balls."""
    dim, width = len(period), min(size, narrowest_gap(centres, radius, period))
    displacement = np.zeros_like(nodes)
    for centre in (centres[:, None] + images(dim) * period).reshape(-1, dim):
        outside = np.maximum(np.maximum(-centre, centre - period), 0.0)
        if np.linalg.norm(outside) < radius + width:
            offset = nodes - centre
            beyond = np.linalg.norm(offset, axis=1) - radius
            share = np.clip(1.0 - beyond / width, 0.0, 1.0)
            displacement += share[:, None] * offset
    displacement[(nodes == 0.0) | (nodes == period)] = 0.0
    return displacement


def narrowest_gap(centres: FloatArray, radius: float, period: FloatArray) -> float:
    """Least distance of the surfaces of two balls, or of a ball and its periodic image."""
    first, second = np.triu_indices(len(centres), 1)
    between = np.linalg.norm(nearest_images(centres[first] - centres[second], period), axis=1)
    return float(min(np.min(between, initial=np.inf), period.min()) - 2.0 * radius)


def volume_of(kind: int, elements: IntArray, dim: int) -> Callable[[FloatArray], float]:
    """Volume of elements, curved or not, as a function of all nodes.

    Args:
        kind: gmsh's type of the elements.
        elements: Their rows of nodes, shape (k, v).
        dim: Their dimension.
    """
    points, weights = gmsh.model.mesh.getIntegrationPoints(kind, "Gauss3")
    _, values, _ = gmsh.model.mesh.getBasisFunctions(kind, points, "GradLagrange")
    gradients = np.array(values).reshape(len(weights), elements.shape[1], 3)[:, :, :dim]

    def volume(nodes: FloatArray) -> float:
        jacobians = np.einsum("eai,qak->eqik", nodes[elements, :dim], gradients, optimize=True)
        return float((np.linalg.det(jacobians) @ np.array(weights)).sum())

    return volume
