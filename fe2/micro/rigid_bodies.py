r"""Rigid motions that nothing resists: parts of a cell that are free, or hang on a node or an edge.

What is connected through facets moves without energy as one rigid body only, and a body's motion is a few
numbers, :math:`u(x) = a_b + W_b (x - c_b)` with a skew :math:`W_b`. Nodes that bodies share, within the box
or through the period, have one displacement. The motions that satisfy this are the null space of a small
matrix; a cell is singular where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from fe2.arrays import Array, Ints, Mask

_ROUND_OFF = 1e-12
"""Square of a distance, relative to a body's size, below which two nodes hold no more than one does."""

_MOVES = 1e-6
"""Share of a body in a motion of unit norm from which on it moves."""


@dataclass(frozen=True, eq=False)
class RigidBodies:
    """Bodies by their nodes, one row for each node of each body; a node may belong to several.

    Attributes:
        count: Number of bodies.
        body: Body of each row, shape (n,).
        node: Node of each row, shape (n,).
        place: Where the node stands when the body is put together across the period, shape (n, dim).
        element: A mesh cell of the body that has the node, shape (n,).
    """

    count: int
    body: Ints
    node: Ints
    place: Array
    element: Ints

    @property
    def dim(self) -> int:
        """Dimension of the space."""
        return self.place.shape[1]

    def motions(self) -> Array:
        """Displacements in the translations and rotations of each row's body, shape (n, dim, 3 or 6).

        Rotations are about the body's middle and measured by the displacement at half of its size.
        """
        lower, upper = np.full((self.count, self.dim), np.inf), np.full((self.count, self.dim), -np.inf)
        np.minimum.at(lower, self.body, self.place)
        np.maximum.at(upper, self.body, self.place)
        lower, upper = lower[self.body], upper[self.body]
        half = np.linalg.norm(upper - lower, axis=1, keepdims=True) / 2
        x = (self.place - 0.5 * (lower + upper)) / half
        planes = [(0, 1), (0, 2), (1, 2)][: 1 if self.dim == 2 else 3]
        result = np.zeros((len(x), self.dim, self.dim + len(planes)))
        result[:, range(self.dim), range(self.dim)] = 1.0
        for k, (i, j) in enumerate(planes, start=self.dim):
            result[:, i, k], result[:, j, k] = -x[:, j], x[:, i]
        return result

    def some_rows(self, body: int) -> Ints:
        """Rows of nodes of a body that determine its motion: the outermost ones, and those of a mesh cell."""
        rows = np.flatnonzero(self.body == body)
        x, elements = self.place[rows], self.element[rows]
        outermost = [*np.argmin(x, axis=0), *np.argmax(x, axis=0)]
        return np.unique(np.concatenate([rows[outermost], rows[elements == elements[0]]]))


def free_motions(
    bodies: RigidBodies, free: Ints, resting: Mask, constraints: Array | None = None
) -> Iterator[tuple[Ints, Array]]:
    """Motions of the bodies that cost no energy.

    Args:
        bodies: The bodies.
        free: Number of each row's displacements, shape (n, dim): those of the same number are the same, and
            -1 is zero.
        resting: Bodies that do not move.
        constraints: Rows C of C w = 0 on the displacements w by number.

    Yields:
        For each group of bodies that hold each other: the bodies that move, and a basis of their motions,
        shape (number, 3 or 6, k).
    """
    motions = bodies.motions()
    size = motions.shape[2]
    rows = _continuity(bodies, free[:, 0], motions)
    if constraints is not None and len(constraints):
        rows = sp.vstack([rows, _constrained(bodies, free, motions, constraints)])
    gram = (rows.T @ rows).tocsr()
    moving = np.flatnonzero(~resting)
    if not len(moving):
        return
    kept = (moving[:, None] * size + np.arange(size)).reshape(-1)
    gram = gram[kept][:, kept]
    gram.eliminate_zeros()
    blocks = sp.coo_matrix(gram)
    ends = blocks.row // size, blocks.col // size
    links = sp.coo_matrix((np.ones(len(ends[0])), ends), shape=2 * (len(moving),))
    groups, group = connected_components(links, directed=False)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(group, minlength=groups))[:-1]):
        places = (members[:, None] * size + np.arange(size)).reshape(-1)
        values, vectors = np.linalg.eigh(gram[places][:, places].toarray())
        basis = vectors[:, values < _ROUND_OFF].reshape(len(members), size, -1)
        moves = np.linalg.norm(basis, axis=(1, 2)) > _MOVES
        if np.any(moves):
            yield moving[members[moves]], basis[moves]


def _continuity(bodies: RigidBodies, point: Ints, motions: Array) -> sp.csr_matrix:
    """Rows that say that the displacements of a point are the same in all bodies, and zero where it rests.

    The rows of two bodies weigh together as much as one does, however many nodes they share.
    """
    order = np.argsort(point, kind="stable")
    first = order[np.searchsorted(point[order], point)]
    others = np.flatnonzero((first != np.arange(len(point))) | (point < 0))
    partner = np.where(point[others] < 0, -1, first[others])
    pair = np.column_stack([bodies.body[others], np.where(partner < 0, -1, bodies.body[partner])])
    _, number, counts = np.unique(np.sort(pair, axis=1), axis=0, return_inverse=True, return_counts=True)
    weights = 1.0 / np.sqrt(counts[number.reshape(-1)])
    matrix = _rows(bodies, others, weights[:, None, None] * motions[others])
    shared = partner >= 0
    negative = np.where(shared, -weights, 0.0)[:, None, None] * motions[partner]
    return matrix + _rows(bodies, partner, negative)


def _constrained(bodies: RigidBodies, free: Ints, motions: Array, constraints: Array) -> sp.csr_matrix:
    """Further constraints in terms of the motions; the magnitudes of a row's entries sum to one."""
    numbers, first = np.unique(free[:, 0], return_index=True)
    first = first[numbers >= 0]
    scaled = constraints / np.abs(constraints).sum(axis=1, keepdims=True)
    displacements = _rows(bodies, first, motions[first])
    return sp.csr_matrix(scaled[:, free[first].reshape(-1)]) @ displacements


def _rows(bodies: RigidBodies, rows: Ints, values: Array) -> sp.csr_matrix:
    """Sparse matrix with the values (n, dim, size) in the columns of the rows' bodies."""
    n, dim, size = values.shape
    columns = bodies.body[rows][:, None, None] * size + np.arange(size)
    at = np.broadcast_to(np.arange(n * dim).reshape(n, dim, 1), values.shape)
    entries = values.reshape(-1), (at.reshape(-1), np.broadcast_to(columns, values.shape).reshape(-1))
    return sp.csr_matrix(entries, shape=(n * dim, bodies.count * size))


def pinned(bodies: RigidBodies, free: Ints, moving: Ints, basis: Array) -> tuple[Ints, Ints]:
    """Nodes and components whose displacements determine the motions, as many as there are motions.

    Args:
        bodies: The bodies.
        free: As in :func:`free_motions`.
        moving: Bodies that move, shape (number,).
        basis: Basis of their motions, shape (number, 3 or 6, k).
    """
    rows = [bodies.some_rows(body) for body in moving.tolist()]
    motions = bodies.motions()
    values = np.concatenate([motions[at] @ part for at, part in zip(rows, basis, strict=True)])
    at = np.concatenate(rows)
    values[free[at] < 0] = 0.0
    _, order = scipy.linalg.qr(values.reshape(-1, basis.shape[2]).T, mode="r", pivoting=True)
    chosen = order[: basis.shape[2]]
    return bodies.node[at[chosen // bodies.dim]], chosen % bodies.dim
