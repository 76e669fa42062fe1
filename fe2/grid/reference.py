"""The reference material of an image: the homogeneous one whose inverse preconditions best."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from fe2.arrays import Array
from fe2.grid.element import VoxelStiffness

_DIFFERENCE_COST = 5.0
"""Time of the forces of all voxels in units of the time of the Fourier transforms, as measured."""

_CANDIDATES = 16
"""Phases that may be the reference, the most frequent ones: a rare one saves no work."""

_ZERO = 1e-12
"""Eigenvalues that are zero, relative to the largest: those of rotations at finite strain, and of voids."""


def reference_stiffness(voxel: VoxelStiffness, fractions: Array) -> Array:
    r"""Stiffness of a voxel of the reference material, shape (k, k).

    The number of iterations grows as :math:`\sqrt\kappa`, where :math:`\kappa` is the ratio of the extreme
    eigenvalues of :math:`C_0^{-1} C_p` over all phases p. One of the phases as reference saves the work on
    its voxels; the mean of all may have the lower :math:`\kappa`, as in a polycrystal.

    Args:
        voxel: Stiffness of a voxel for each phase.
        fractions: Share of each phase in the voxels.
    """
    frequent = np.argsort(-fractions, kind="stable")[:_CANDIDATES]
    weights = np.vstack([np.eye(len(fractions))[frequent], fractions])
    costs = [
        np.sqrt(contrast(voxel.tangents, np.tensordot(row, voxel.tangents, 1)))
        * (1.0 + _DIFFERENCE_COST * (1.0 - float(row @ fractions) * (np.count_nonzero(row) == 1)))
        for row in weights
    ]
    best: Array = np.tensordot(weights[int(np.argmin(costs))], voxel.stiffness, 1)
    return best


def full_contrast(voxel: VoxelStiffness, reference: Array) -> float:
    """The contrast, infinite beside voids, of a reference voxel's stiffness, shape (k, k)."""
    if not np.any(voxel.stiffness, axis=(1, 2)).all():
        return np.inf
    return contrast(voxel.tangents, voxel.modes.T @ reference @ voxel.modes / voxel.volume)


def contrast(tangents: Array, reference: Array) -> float:
    """Ratio of the extreme eigenvalues of the tangents relative to a reference; voids do not count.

    Args:
        tangents: Shape (phases, m, m), symmetric and positive semidefinite.
        reference: Shape (m, m).

    Returns:
        Infinity where a phase resists what the reference does not.
    """
    values, vectors = eigh(reference)
    kept = values > _ZERO * max(values[-1], 0.0)
    if (
        not np.any(kept)
        or np.abs(tangents @ vectors[:, ~kept]).max(initial=0.0) > _ZERO * np.abs(tangents).max()
    ):
        return np.inf
    scaled = vectors[:, kept] / np.sqrt(values[kept])
    spectrum = np.linalg.eigvalsh(scaled.T @ tangents @ scaled)
    positive = spectrum[spectrum > _ZERO * spectrum.max()]
    return float(positive.max() / positive.min())
