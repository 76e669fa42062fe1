r"""The discrete Green operator: the inverse of the stiffness of a homogeneous periodic grid.

On a regular periodic grid a homogeneous material has a stiffness that is a discrete convolution,

.. math:: (K w)_n = \sum_d S_d\,w_{n+d}, \qquad d \in \{-1, 0, 1\}^\mathrm{dim},

so the discrete Fourier transform makes it block-diagonal, one small block for each wave vector. As a
preconditioner for the same elements with other materials it bounds the condition number by the
contrast of the materials, whatever the resolution (Ladecký, Leute, Pultarová, Falsafi, Pastewka,
Junge & Zeman, Appl. Math. Comput. 446 (2023) 127835).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.grid.device import Device, device

_ROUND_OFF = 1e-15
"""Entry of a block that is round-off of the stencil, relative to its largest number."""

_CONTRACTION = {2: "pxy,yj->pxj", 3: "pxyz,yj,zk->pxjk"}


class GreenOperator:
    """Pseudo-inverse of a homogeneous grid's stiffness: what it returns has no mean.

    Attributes:
        shape: Numbers of nodes along each axis of the periodic grid.
        components: Components of the unknown.
    """

    def __init__(
        self,
        stencil: Array,
        shape: tuple[int, ...],
        where: Device | None = None,
        precision: type[np.floating[Any]] = np.float64,
    ) -> None:
        """Transform and invert the stencil.

        A stencil is made equal to its point reflection and to its transpose: it is, for homogeneous elements
        with a centre of symmetry and a symmetric tangent. The blocks are then real and symmetric, and c (c +
        1) / 2 numbers of each are stored.

        Args:
            stencil: Couplings with the neighbours, shape (c, c, 3, ..., 3); index 1 is the node itself.
            shape: Numbers of nodes along each axis, each at least three.
            where: Where the operator lives, one thread of the CPU by default.
            precision: Of the stored inverse; fields that it is handed have the same.

        Raises:
            numpy.linalg.LinAlgError: The homogeneous grid is singular beyond its translations.
        """
        self.shape, self.components, self._device = shape, len(stencil), where or device()
        dim, xp = len(shape), self._device.xp
        axes = tuple(range(2, 2 + dim))
        symmetric = 0.25 * (
            stencil + stencil.swapaxes(0, 1) + np.flip(stencil, axes) + np.flip(stencil.swapaxes(0, 1), axes)
        )
        rows, columns = np.triu_indices(self.components)
        numbers = (*shape[:-1], shape[-1] // 2 + 1)
        waves = [
            np.exp(2j * np.pi * np.outer((-1, 0, 1), np.arange(count)) / n)
            for count, n in zip(numbers, shape, strict=True)
        ]
        plane = xp.asarray(np.einsum(_CONTRACTION[dim], symmetric[rows, columns], *waves[1:], optimize=True))
        self._inverse = xp.empty((len(rows), *numbers), dtype=precision)
        for x, wave in enumerate(waves[0].T):  # a plane at a time, in double precision
            blocks = sum(wave[d] * plane[:, d] for d in range(3)).real
            if x == 0:
                translation = (rows == columns) * np.abs(stencil).max()
                blocks[(slice(None), *(0,) * (dim - 1))] = xp.asarray(translation)
            diagonal = blocks[xp.asarray(np.flatnonzero(rows == columns))]
            if float(abs(diagonal).min()) <= _ROUND_OFF * float(np.abs(stencil).max()):
                raise np.linalg.LinAlgError("the homogeneous grid is singular to round-off")
            self._inverse[:, x] = _inverse(blocks, self.components)
        self._inverse[(slice(None), *(0,) * dim)] = 0.0
        if not bool(xp.isfinite(self._inverse).all()):
            raise np.linalg.LinAlgError("the homogeneous grid is singular")

    def __call__(self, forces: Any) -> Any:
        """Displacements of the homogeneous grid under balanced forces, both of shape (..., c, *shape)."""
        dim, c = len(self.shape), self.components
        transformed = self._device.rfftn(forces, dim)
        cases = transformed.reshape(-1, c, *transformed.shape[-dim:])
        step = 1 if self._device.name == "cpu" else self.shape[0]  # fits into a processor's cache
        for x in range(0, self.shape[0], step):
            for case in cases:
                waves, inverse = case[:, x : x + step], self._inverse[:, x : x + step]
                products = [
                    sum(inverse[_entry(i, j, c)] * waves[j] for j in range(c)) for i in range(c)
                ]  # all of them before the first is written
                for i, product in enumerate(products):
                    waves[i] = product
        return self._device.irfftn(transformed, self.shape)


def _entry(i: int, j: int, c: int) -> int:
    """Place of an entry of a symmetric block among those of its upper triangle, row by row."""
    low, high = min(i, j), max(i, j)
    return low * c - low * (low - 1) // 2 + high - low


def _inverse(blocks: Any, c: int) -> Any:
    """Upper triangles of the inverses of symmetric blocks, both (c (c + 1) / 2, ...), by cofactors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if c == 1:
            return 1.0 / blocks
        if c == 2:
            a, b, d = blocks
            cofactors = [d, -b, a]
        else:
            a, b, d, e, f, g = blocks
            cofactors = [
                e * g - f * f,
                d * f - b * g,
                b * f - d * e,
                a * g - d * d,
                b * d - a * f,
                a * e - b * b,
            ]
        determinant = sum(blocks[j] * cofactors[j] for j in range(c))
        for k, quotient in enumerate([cofactor / determinant for cofactor in cofactors]):
            blocks[k] = quotient
        return blocks
