r"""How much memory the matrix of a cell and its factorization take, before there is either.

Entries of the matrix are counted at nodes that are drawn at random. The factor is that of nested
dissection: the cell is halved across its longest edge again and again, and the s unknowns of each cut see
the b unknowns of the cuts around their piece. The factor of an unsymmetric matrix then holds

.. math:: \sum_{\mathrm{pieces}} s^2 + 2 s b

entries, half of them where it is symmetric: of the order of :math:`n^{4/3}` in space and :math:`n \log n` in
the plane, with the cell's own proportions (George, SIAM J. Numer. Anal. 10 (1973) 345–363).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array
from fe2.memory import check_memory, gigabytes
from fe2.micro.linear_solver import given_types
from fe2.micro.period_count import FEWEST
from fe2.micro.problem import CellProblem
from fe2.micro.reused_factorizations import reuses_factorizations
from fe2.micro.solver_choice import solver_setting

_SAMPLE = 300
"""Nodes at which neighbours are counted."""

_COARSEST = 8
"""Times that elements are made larger, at most, to find what fits."""

_LEAF = 8.0
"""Nodes of a piece that is not cut any more."""

# Measured by `benchmarks/memory.py`, with METIS and MUMPS.
_FILL = {2: 1.0, 3: 0.78}
"""Entries of the factor over those of the model, by dimension."""
_ASSEMBLED, _FOLDING, _FOLDED = 12.0, 110.0, 55.0
"""Bytes for each entry: of the assembled matrix; of the folded one while it is made, and afterwards."""
_FACTOR = 13.0
"""Bytes for each entry of the factor, with the fronts of a factorization."""


@dataclass(frozen=True, eq=False)
class CellSize:
    """What the memory of a cell depends on.

    Attributes:
        unknowns: Free fluctuations.
        block: Unknowns of a node.
        entries: Entries of the assembled matrix.
        kept: Share of them that the folded matrix has.
        edges: Edge lengths of the cell, shape (dim,).
        filled: Share of its volume that has elements.
        periodic: Whether opposite faces are one.
        symmetric: Whether the matrix is.
        factorizations: Factorizations that are kept at a time; 0 where systems are solved by iterations.
        ranks: Ranks that share the cell.
    """

    unknowns: float
    block: float
    entries: float
    kept: float
    edges: Array
    filled: float
    periodic: bool
    symmetric: bool
    factorizations: int
    ranks: int

    def memory(self, coarser: float = 1.0) -> float:
        """Bytes of matrix and solver at their peak on one rank.

        Args:
            coarser: Factor by which the elements are larger than they are.
        """
        entries = self.entries / coarser ** len(self.edges) / self.ranks
        making = (_ASSEMBLED + _FOLDING * self.kept) * entries
        if not self.factorizations:
            return making
        factor = self.factor_entries(coarser) / self.ranks
        kept = (_ASSEMBLED + _FOLDED * self.kept) * entries
        return max(making, kept + self.factorizations * _FACTOR * factor)

    def factor_entries(self, coarser: float = 1.0) -> float:
        """Entries of the factor of the folded matrix; `coarser` as in :meth:`memory`."""
        dim = len(self.edges)
        nodes = self.unknowns / self.block / coarser**dim
        entries = _dissected(nodes, self.block, self.edges, self.filled, self.periodic)
        return _FILL[dim] * entries * (0.5 if self.symmetric else 1.0)


def check_cell_memory(problem: CellProblem) -> None:
    """Refuse a cell whose matrix and factorization do not fit into the memory; with what would.

    Raises:
        InputError: They do not fit.
    """
    size, cell = cell_size(problem), problem.cell
    what = f"the cell of {problem.boundary.size} unknowns, with its matrix and what solves with it,"
    if cell.grid is not None:
        what = f"coarsen = {cell.coarsen}: {what}"
    check_memory(size.memory(), what, lambda available: _remedy(problem, size, available))


def cell_memory(problem: CellProblem) -> float:
    """Bytes that matrix and solver of a cell take at their peak on one rank; nothing is assembled."""
    return cell_size(problem).memory()


def cell_size(problem: CellProblem) -> CellSize:
    """What the memory of a cell depends on."""
    cell, form, boundary = problem.cell, problem.form, problem.boundary
    places = max(space.dofmap.index_map.size_local for space, _ in form.fields())
    factorizations = (2 if reuses_factorizations(problem) else 1) if _factorizes(problem) else 0
    return CellSize(
        unknowns=boundary.size,
        block=len(boundary.free) / places,
        entries=matrix_entries(problem),
        kept=np.count_nonzero(boundary.free >= 0) / len(boundary.free),
        edges=cell.period,
        filled=min(sum(cell.volume_fractions.values()), 1.0),
        periodic=boundary.name == "periodic",
        symmetric=form.symmetric,
        factorizations=factorizations,
        ranks=problem.share.comm.size,
    )


def _remedy(problem: CellProblem, size: CellSize, available: float) -> str:
    """How much coarser elements fit."""
    cell = problem.cell
    if cell.grid is not None:
        return coarsening_that_fits(cell.grid, cell.coarsen, size.memory, available)
    for factor in range(2, _COARSEST + 1):
        if (needed := size.memory(factor)) <= available:
            return f"with elements {factor} times as large it needs {gigabytes(needed)}"
    return "a coarser mesh or a smaller cell is needed"


def coarsening_that_fits(
    grid: Sequence[int], coarsen: int, memory: Callable[[float], float], available: float
) -> str:
    """What to write into the file of an image so that it fits.

    Args:
        grid: Elements along each axis, blocks of voxels.
        coarsen: Edge length of a block in voxels.
        memory: Bytes that are needed, as a function of the factor by which elements are larger.
        available: Bytes that there are.
    """
    voxels = [count * coarsen for count in grid]
    for factor in range(coarsen + 1, min(_COARSEST * coarsen, min(voxels) // FEWEST) + 1):
        if (needed := memory(factor / coarsen)) <= available:
            cropped = [count - count % factor for count in voxels]
            crop = (
                ""
                if cropped == voxels
                else f", of an image cropped to {' x '.join(map(str, cropped))} voxels,"
            )
            return f"coarsen = {factor}{crop} needs {gigabytes(needed)}"
    return "crop the image"


def _factorizes(problem: CellProblem) -> bool:
    """Whether the matrix is factorized, by choice or by PETSc's options."""
    asked = asked_to_factorize()
    return not solver_setting(problem).iterative if asked is None else asked


def asked_to_factorize() -> bool | None:
    """Whether PETSc's options ask for a factorization; None where they ask for nothing."""
    given = given_types()
    return given.get("pc_type") in ("lu", "cholesky") if given else None


def matrix_entries(problem: CellProblem) -> float:
    """Entries of the assembled matrix: degrees of freedom times the mean number of their neighbours."""
    dofmap = problem.form.unknown.function_space.dofmap
    nodes, size, block = dofmap.list, dofmap.index_map.size_local, dofmap.index_map_bs
    drawn = np.unique(np.random.default_rng(0).integers(0, size, _SAMPLE))
    around = nodes[np.isin(nodes, drawn).any(axis=1)]
    neighbours = [len(np.unique(around[(around == node).any(axis=1)])) for node in drawn]
    return float(size * np.mean(neighbours) * block**2)


def _dissected(nodes: float, block: float, edges: Array, filled: float, periodic: bool) -> float:
    """Entries of the factor of nested dissection of a box in which `nodes` fill a share of the volume."""
    dim = len(edges)
    # nodes on a cut of unit area: those in a layer as thick as their distance
    density = filled * (nodes / (filled * np.prod(edges))) ** ((dim - 1) / dim)
    halves, entries = np.zeros(dim), block**2 * nodes * _LEAF
    while nodes / 2.0 ** halves.sum() > _LEAF:
        piece = edges / 2.0**halves
        faces, longest = np.prod(piece) / piece, np.argmax(piece)
        inner = np.ones(dim) if periodic else 1.0 - 2.0**-halves  # the others are on faces of the cell
        cut, border = block * density * faces[longest], 2.0 * block * density * (inner @ faces)
        entries += 2.0 ** halves.sum() * (cut**2 + 2.0 * cut * border)
        halves[longest] += 1.0
    return float(entries)
