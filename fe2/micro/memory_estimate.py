r"""How much memory the matrix of a cell and its factorization take, before there is either.

Entries of the matrix are counted at nodes that are drawn at random. The factor is that of nested
dissection: the cell is halved across its longest edge again and again, and the s unknowns of each cut see
the b unknowns of the cuts around their piece. The factor of an unsymmetric matrix then holds

.. math:: \sum_{\mathrm{pieces}} s^2 + 2 s b

entries, half of them where it is symmetric: of the order of :math:`n^{4/3}` in space and :math:`n \log n` in
the plane, with the cell's own proportions (George, SIAM J. Numer. Anal. 10 (1973) 345–363).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fe2.micro.problem import CellProblem

Array = npt.NDArray[np.float64]

_SAMPLE = 300
"""Nodes at which neighbours are counted."""

_LEAF = 8.0
"""Nodes of a piece that is not cut any more."""


def matrix_entries(problem: CellProblem) -> float:
    """Entries of the assembled matrix: degrees of freedom times the mean number of their neighbours."""
    dofmap = problem.form.unknown.function_space.dofmap
    nodes, size, block = dofmap.list, dofmap.index_map.size_local, dofmap.index_map_bs
    drawn = np.unique(np.random.default_rng(0).integers(0, size, _SAMPLE))
    around = nodes[np.isin(nodes, drawn).any(axis=1)]
    neighbours = [len(np.unique(around[(around == node).any(axis=1)])) for node in drawn]
    return float(size * np.mean(neighbours) * block**2)


def factor_entries(nodes: float, block: int, edges: Array, filled: float, symmetric: bool) -> float:
    """Entries of the factor of nested dissection.

    Args:
        nodes: Number of nodes.
        block: Unknowns of a node.
        edges: Edge lengths of the cell, shape (dim,).
        filled: Share of the cell in which there are nodes.
        symmetric: Whether only the lower factor is kept.
    """
    dim = len(edges)
    # nodes on a cut of unit area: those in a layer as thick as their distance
    density = filled * (nodes / (filled * np.prod(edges))) ** ((dim - 1) / dim)
    piece, number, entries = np.array(edges, dtype=np.float64), 1.0, 0.0
    while nodes / number > _LEAF:
        faces = np.prod(piece) / piece
        cut, border = block * density * faces[np.argmax(piece)], 2.0 * block * density * faces.sum()
        entries += number * (cut**2 + 2.0 * cut * border)
        piece[np.argmax(piece)] /= 2.0
        number *= 2.0
    entries += nodes * block * block * _LEAF
    return entries * (0.5 if symmetric else 1.0)
