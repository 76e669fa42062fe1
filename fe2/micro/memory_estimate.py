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

from fe2.memory import check_memory, gigabytes
from fe2.micro.linear_solver import given_types
from fe2.micro.problem import CellProblem
from fe2.micro.reused_factorizations import reuses_factorizations
from fe2.micro.solver_choice import solver_setting

Array = npt.NDArray[np.float64]

_SAMPLE = 300
"""Nodes at which neighbours are counted."""

_COARSEST = 8
"""Coarsening that is tried at most."""

_LEAF = 8.0
"""Nodes of a piece that is not cut any more."""

# Measured by `benchmarks/memory.py`, with METIS and MUMPS.
_FILL = {2: 1.0, 3: 0.78}
"""Entries of the factor over those of the model, by dimension."""
_ASSEMBLED, _FOLDING, _FOLDED = 12.0, 110.0, 55.0
"""Bytes for each entry: of the assembled matrix; of the folded one while it is made, and afterwards."""
_FACTOR = 13.0
"""Bytes for each entry of the factor, with the fronts of a factorization."""


def check_cell_memory(problem: CellProblem) -> None:
    """Refuse a cell whose matrix and factorization do not fit into the memory; with what would.

    Raises:
        InputError: They do not fit.
    """
    check_memory(
        cell_memory(problem),
        f"the cell of {problem.boundary.size} unknowns, with its matrix and what solves with it,",
        lambda available: _remedy(problem, available),
    )


def cell_memory(problem: CellProblem, coarser: float = 1.0) -> float:
    """Bytes that matrix and solver of a cell take at their peak on one rank.

    Args:
        problem: The cell problem; nothing is assembled.
        coarser: Factor by which the elements are larger than they are.
    """
    boundary, dim, ranks = problem.boundary, problem.cell.dim, problem.share.comm.size
    entries = matrix_entries(problem) / coarser**dim / ranks
    kept = entries * np.count_nonzero(boundary.free >= 0) / len(boundary.free)
    making = _ASSEMBLED * entries + _FOLDING * kept
    if not _factorizes(problem):
        return making
    factorizations = 2.0 if reuses_factorizations(problem) else 1.0
    factor = factor_entries(problem, coarser) / ranks
    return max(making, _ASSEMBLED * entries + _FOLDED * kept + factorizations * _FACTOR * factor)


def _remedy(problem: CellProblem, available: float) -> str:
    """The least coarsening that fits."""
    is_image = problem.cell.grid is not None
    for factor in range(2, _COARSEST + 1):
        if (needed := cell_memory(problem, factor)) <= available:
            what = f"coarsened by {factor}, it" if is_image else f"with elements {factor} times as large it"
            return f"{what} needs {gigabytes(needed)}"
    return "crop or coarsen it" if is_image else "a coarser mesh or a smaller cell is needed"


def _factorizes(problem: CellProblem) -> bool:
    """Whether the matrix is factorized, by choice or by PETSc's options."""
    given = given_types()
    if given:
        return given.get("pc_type") in ("lu", "cholesky")
    return not solver_setting(problem).iterative


def matrix_entries(problem: CellProblem) -> float:
    """Entries of the assembled matrix: degrees of freedom times the mean number of their neighbours."""
    dofmap = problem.form.unknown.function_space.dofmap
    nodes, size, block = dofmap.list, dofmap.index_map.size_local, dofmap.index_map_bs
    drawn = np.unique(np.random.default_rng(0).integers(0, size, _SAMPLE))
    around = nodes[np.isin(nodes, drawn).any(axis=1)]
    neighbours = [len(np.unique(around[(around == node).any(axis=1)])) for node in drawn]
    return float(size * np.mean(neighbours) * block**2)


def factor_entries(problem: CellProblem, coarser: float = 1.0) -> float:
    """Entries of the factor of the folded matrix.

    Args:
        problem: The cell problem.
        coarser: Factor by which the elements are larger than they are.
    """
    cell, form, boundary = problem.cell, problem.form, problem.boundary
    places = max(space.dofmap.index_map.size_local for space, _ in form.fields())
    block = len(boundary.free) / places
    nodes = boundary.size / block / coarser**cell.dim
    filled = min(sum(cell.volume_fractions.values()), 1.0)
    entries = _dissected(nodes, block, cell.period, filled, boundary.name == "periodic")
    return _FILL[cell.dim] * entries * (0.5 if form.symmetric else 1.0)


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
