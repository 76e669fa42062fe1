r"""The discrete Green operator: the inverse of the stiffness of a homogeneous periodic grid.

On a regular periodic grid a homogeneous material has a stiffness that is a discrete convolution,

.. math:: (K w)_n = \sum_d S_d\,w_{n+d}, \qquad d \in \{-1, 0, 1\}^\mathrm{dim},

so the discrete Fourier transform makes it block-diagonal, one small block for each wave vector. As a
preconditioner for the same elements with other materials it bounds the condition number by the
contrast of the materials, whatever the resolution (Ladecký, Leute, Pultarová, Falsafi, Pastewka,
Junge & Zeman, Appl. Math. Comput. 446 (2023) 127835).
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from scipy import fft

from fe2.micro.voxel import corners
from fe2.parallel import threads

Array = npt.NDArray[np.float64]


class GreenOperator:
    """Pseudo-inverse of a homogeneous grid's stiffness: what it returns has no mean.

    Attributes:
        shape: Numbers of nodes along each axis of the periodic grid.
        components: Components of the unknown.
    """

    def __init__(self, stencil: Array, shape: tuple[int, ...]) -> None:
        """Transform and invert the stencil.

        Args:
            stencil: Couplings with the neighbours, shape (c, c, 3, ..., 3); index 1 is the node itself.
            shape: Numbers of nodes along each axis, each at least three.

        Raises:
            numpy.linalg.LinAlgError: The homogeneous grid is singular beyond its translations.
        """
        self.shape, self.components = shape, len(stencil)
        self._axes = tuple(range(1, len(shape) + 1))
        blocks = self._symbol(stencil)
        zero = (0,) * len(shape)
        blocks[zero] = np.eye(self.components)
        inverse = np.linalg.inv(blocks)
        inverse[zero] = 0.0
        self._inverse = np.ascontiguousarray(np.moveaxis(inverse, (-2, -1), (0, 1)))

    def __call__(self, forces: Array) -> Array:
        """Displacements of the homogeneous grid under balanced forces, both of shape (c, *shape)."""
        transformed = fft.rfftn(forces, axes=self._axes, workers=threads())
        for plane in range(self.shape[0]):  # small enough for the processor's cache
            waves = transformed[:, plane]
            waves[:] = np.einsum("ij...,j...->i...", self._inverse[:, :, plane], waves)
        displacements: Array = fft.irfftn(
            transformed, s=self.shape, axes=self._axes, workers=threads(), overwrite_x=True
        )
        return displacements

    def _symbol(self, stencil: Array) -> Array:
        """Blocks of all wave vectors of the half space, shape (*waves, c, c).

        A stencil is made equal to its point reflection: it is, for homogeneous elements with a centre
        of symmetry. The blocks are then real.
        """
        axes = tuple(range(len(self.shape)))
        symmetric = 0.5 * (stencil + np.flip(stencil, tuple(axis + 2 for axis in axes)))
        waves = (*self.shape[:-1], self.shape[-1] // 2 + 1)
        blocks = np.empty((*waves, self.components, self.components))
        for i, j in itertools.product(range(self.components), repeat=2):
            kernel = np.zeros(self.shape)
            for offset in itertools.product((-1, 0, 1), repeat=len(self.shape)):
                kernel[offset] += symmetric[(i, j, *(d + 1 for d in offset))]
            blocks[..., i, j] = fft.rfftn(kernel, workers=threads()).real
        return blocks


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
