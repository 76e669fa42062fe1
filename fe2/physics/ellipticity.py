r"""Ellipticity of a tangent at finite strain: the acoustic tensor over all directions.

A material with the tangent :math:`A_{ijkl} = \partial P_{ij}/\partial F_{kl}` carries a wave, or at rest a
band of localized deformation, with the normal n of the reference configuration where

.. math:: \det Q(n) = 0, \qquad Q_{ik}(n) = n_j\,A_{ijkl}\,n_l

(Hadamard; Hill 1962, Rice 1976). A homogenized tangent that loses ellipticity announces an instability
of the cell whose wavelength is large against the cell (Geymonat, Müller & Triantafyllidis 1993).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fe2.arrays import Array

_DIRECTIONS = {2: 90, 3: 600}
"""Directions sampled on the half circle and the half sphere.

The functions sought are trigonometric polynomials of degree 4 and 6: between directions that are two
and six degrees apart they have no valley of their own.
"""
_ROUNDS = 40
"""Rounds of the search around the best direction; 24 halvings lead to an angle of 1e-8, a value of 1e-16."""
_POINTS_AT_ONCE = 200

_Measure = Callable[[Array], Array]


def smallest_acoustic_determinant(tangents: Array) -> tuple[Array, Array]:
    r"""The smallest :math:`\det Q(n)` over all directions n; positive where the tangent is elliptic.

    Args:
        tangents: Tangents between row-wise components (xx, xy, yx, yy in the plane), shape (n, m, m)
            with m = 4 or 9, in any units of stress.

    Returns:
        The determinants, shape (n,), in units of stress to the power of the dimension, and the
        directions, unit vectors of shape (n, dim).
    """
    return _smallest(tangents, np.linalg.det)


def smallest_acoustic_eigenvalue(tangents: Array) -> tuple[Array, Array]:
    r"""The smallest :math:`m\cdot Q(n)\,m` over all unit vectors m and n; positive in strong ellipticity.

    This is the smallest eigenvalue of the symmetric part of the acoustic tensor. It stays
    negative where the determinant has changed its sign twice.

    Args:
        tangents: See :func:`smallest_acoustic_determinant`.

    Returns:
        The eigenvalues, shape (n,), in units of stress, and the directions, shape (n, dim).
    """
    return _smallest(tangents, _smallest_eigenvalue)


def acoustic_tensors(tangents: Array, directions: Array) -> Array:
    """Acoustic tensors Q(n).

    Args:
        tangents: Shape (p, m, m), row-wise components.
        directions: Unit vectors, shape (p, q, dim).

    Returns:
        Shape (p, q, dim, dim).
    """
    points, count, dim = directions.shape
    # one product of matrices for each point: A as (ik, jl) times n ⊗ n as (jl, q)
    moduli = tangents.reshape(-1, dim, dim, dim, dim).transpose(0, 1, 3, 2, 4).reshape(-1, dim**2, dim**2)
    dyads = (directions[..., :, None] * directions[..., None, :]).reshape(points, count, dim**2)
    return np.matmul(dyads, moduli.transpose(0, 2, 1)).reshape(points, count, dim, dim)


def _smallest(tangents: Array, measure: _Measure) -> tuple[Array, Array]:
    dim = round(np.sqrt(tangents.shape[-1]))
    values, directions = np.empty(len(tangents)), np.empty((len(tangents), dim))
    for start in range(0, len(tangents), _POINTS_AT_ONCE):
        part = slice(start, start + _POINTS_AT_ONCE)
        values[part], directions[part] = _search(tangents[part], dim, measure)
    return values, directions


def _search(tangents: Array, dim: int, measure: _Measure) -> tuple[Array, Array]:
    """Sample all directions, then search around the best one in ever smaller steps."""
    sampled = np.broadcast_to(_half_sphere(dim), (len(tangents), _DIRECTIONS[dim], dim))
    values, best = _best(tangents, sampled, measure)
    step = np.full(len(tangents), np.pi / _DIRECTIONS[dim] ** (1.0 / (dim - 1)))
    for _ in range(_ROUNDS):
        around = np.einsum("pai,qa->pqi", _tangent_vectors(best), _stencil(dim))
        around = best[:, None, :] + step[:, None, None] * around
        around /= np.linalg.norm(around, axis=-1, keepdims=True)
        smaller, better = _best(tangents, around, measure)
        step = np.where(smaller < values, step, 0.5 * step)
        values, best = smaller, better
    return values, best


def _best(tangents: Array, directions: Array, measure: _Measure) -> tuple[Array, Array]:
    values = measure(acoustic_tensors(tangents, directions))
    rows, smallest = np.arange(len(values)), np.argmin(values, axis=1)
    return values[rows, smallest], directions[rows, smallest]


def _half_sphere(dim: int) -> Array:
    """Evenly spread directions: a half circle, or Fibonacci's spiral on a half sphere."""
    count = _DIRECTIONS[dim]
    numbers = np.arange(count)
    if dim == 2:
        angles = np.pi * numbers / count
        return np.column_stack([np.cos(angles), np.sin(angles)])
    height, azimuth = (numbers + 0.5) / count, np.pi * (3.0 - np.sqrt(5.0)) * numbers
    radius = np.sqrt(1.0 - height**2)
    return np.column_stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height])


def _stencil(dim: int) -> Array:
    """Steps along the tangent vectors, none among them, shape (steps, dim - 1)."""
    axes = [np.array([0.0, -1.0, 1.0])] * (dim - 1)
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dim - 1)


def _tangent_vectors(directions: Array) -> Array:
    """Orthonormal vectors across each direction, shape (points, dim - 1, dim)."""
    dim = directions.shape[1]
    if dim == 2:
        return np.stack([-directions[:, 1], directions[:, 0]], axis=-1)[:, None, :]
    axis = np.eye(3)[np.argmin(np.abs(directions), axis=1)]
    first = np.cross(directions, axis)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(directions, first)], axis=1)


def _smallest_eigenvalue(matrices: Array) -> Array:
    symmetric = 0.5 * (matrices + np.swapaxes(matrices, -1, -2))
    smallest: Array = np.linalg.eigvalsh(symmetric)[..., 0]
    return smallest
