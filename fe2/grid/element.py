"""One element of a regular grid: its corners, its stiffness for each material, the stencil of equal ones."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fe2.arrays import Array, Ints


@dataclass(frozen=True, eq=False)
class VoxelStiffness:
    """Virgin stiffness of one voxel for each material, and the macroscopic modes on it.

    A phase is a material, and a phase with a field of materials is several.

    The degrees of freedom are numbered component by component, in each the corners as
    `itertools.product` gives them: the last axis runs fastest.

    Attributes:
        stiffness: Shape (materials, k, k) with k = components × corners.
        modes: Macroscopic modes at the corners, shape (k, m).
        components: Components of the unknown.
        volume: Volume of the voxel.
        at_rest: True where the virgin materials are free of flux.
        is_linear: True where the tangents are those of every state.
    """

    stiffness: Array
    modes: Array
    components: int
    volume: float
    at_rest: bool = True
    is_linear: bool = True

    @cached_property
    def tangents(self) -> Array:
        """Tangent of each material in macroscopic components, shape (materials, m, m)."""
        tangents: Array = self.modes.T @ self.stiffness @ self.modes / self.volume
        return tangents

    def with_void(self) -> VoxelStiffness:
        """The same with one material more, which has no stiffness."""
        return replace(self, stiffness=np.concatenate([self.stiffness, np.zeros_like(self.stiffness[:1])]))


def corners(dim: int) -> Ints:
    """Corners of a voxel, shape (2^dim, dim), zeros and ones; the last axis runs fastest."""
    return np.array(list(itertools.product((0, 1), repeat=dim)))


def element_stencil(stiffness: Array, components: int, dim: int) -> Array:
    """Stencil of a grid of equal elements, shape (c, c, 3, ..., 3).

    Args:
        stiffness: Stiffness of the element, numbered as in `VoxelStiffness`, shape (k, k).
        components: Components of the unknown.
        dim: Dimension of the grid.
    """
    nodes = corners(dim)
    stencil = np.zeros((components, components, *(3,) * dim))
    blocks = stiffness.reshape(components, len(nodes), components, len(nodes))
    for a, b in itertools.product(range(len(nodes)), repeat=2):
        stencil[(slice(None), slice(None), *(nodes[b] - nodes[a] + 1))] += blocks[:, a, :, b]
    return stencil
