r"""Folding of the assembled cell matrix to the free fluctuations: K = TᵀK_fT, bordered by constraints.

The pairs (row, column) of the unwrapped pattern are mapped and sorted once. Nearly all folded values are
single unwrapped ones: they are taken, and the few that share a place, at the faces, are added.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from fe2.arrays import Array, Ints, Mask
from fe2.micro.boundary import BoundaryMap


class FoldedMatrix:
    r"""The matrix of the free fluctuations in compressed rows, bordered where there are constraints.

    .. math:: \begin{pmatrix} T^T K_f T & C^T \\ C & 0 \end{pmatrix}

    Attributes:
        indptr: Row pointers.
        indices: Column indices.
        data: Values, updated in place.
        size: Number of rows, free fluctuations and constraints.
    """

    def __init__(
        self,
        unwrapped: sp.bsr_matrix | sp.csr_matrix,
        boundary: BoundaryMap,
        kept: Callable[[Ints, Ints], Mask] | None = None,
    ) -> None:
        """Prepare the folding of matrices with the pattern of `unwrapped`.

        Args:
            unwrapped: Matrix over all degrees of freedom, shape (N, N); only its pattern counts.
            boundary: Map from free fluctuations to degrees of freedom.
            kept: Rows and columns over all degrees of freedom ↦ which of these entries are not always zero;
                all of them by default.
        """
        rows, columns, positions = _entries(unwrapped, boundary, kept)
        borders = sp.coo_matrix(boundary.constraints)
        n = boundary.size
        self.size = n + boundary.constraints.shape[0]
        # the border's diagonal is stored, as factorizations expect every diagonal entry
        corner = np.arange(n, self.size)
        all_rows = np.concatenate([rows, borders.row + n, borders.col, corner])
        all_columns = np.concatenate([columns, borders.col, borders.row + n, corner])
        keys, inverse = np.unique(all_rows * self.size + all_columns, return_inverse=True)
        self.indices = (keys % self.size).astype(np.int32)
        self.indptr = np.searchsorted(keys // self.size, np.arange(self.size + 1)).astype(np.int32)
        self.data = np.zeros(len(keys))
        self._border = inverse[len(rows) : len(all_rows) - len(corner)], np.tile(borders.data, 2)
        self.data[self._border[0]] = self._border[1]
        self._off = self._diagonal = np.zeros(0, dtype=np.int64)
        folded, first = np.unique(inverse[: len(rows)], return_index=True)
        others = np.setdiff1d(np.arange(len(rows)), first, assume_unique=True)
        # without constraints all values are folded ones
        self._folded = slice(None) if len(folded) == len(keys) else folded
        self._first = positions[first]
        self._shared, self._added = inverse[others], positions[others]

    def update(self, values: Array) -> None:
        """Fold the values of the unwrapped matrix, in the order of its data array."""
        unwrapped = values.reshape(-1)
        self.data[self._folded] = unwrapped[self._first]
        np.add.at(self.data, self._shared, unwrapped[self._added])
        if len(self._diagonal):
            self.data[self._off] = 0.0
            kept = self.data[self._diagonal]
            self.data[self._diagonal] = np.where(kept == 0.0, 1.0, kept)

    def hold(self, held: Mask) -> None:
        """Keep nothing but the diagonal of rows and columns, shape (size,), from the next update on."""
        rows = np.repeat(np.arange(self.size), np.diff(self.indptr))
        touched, diagonal = held[rows] | held[self.indices], rows == self.indices
        self._off, self._diagonal = np.flatnonzero(touched & ~diagonal), np.flatnonzero(touched & diagonal)
        self.data[:] = 0.0
        self.data[self._border[0]] = self._border[1]


def _entries(
    unwrapped: sp.bsr_matrix | sp.csr_matrix,
    boundary: BoundaryMap,
    wanted: Callable[[Ints, Ints], Mask] | None,
) -> tuple[Ints, Ints, Ints]:
    """Folded rows and columns of the entries that survive, with their positions in the data array."""
    numbered = unwrapped.copy()
    numbered.data = np.arange(1, unwrapped.data.size + 1, dtype=np.float64).reshape(unwrapped.data.shape)
    pattern = numbered.tocoo()
    rows, columns = boundary.free[pattern.row], boundary.free[pattern.col]
    kept = (rows >= 0) & (columns >= 0)
    if wanted is not None:
        kept &= wanted(pattern.row, pattern.col)
    return rows[kept], columns[kept], pattern.data[kept].astype(np.int64) - 1
