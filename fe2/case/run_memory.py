"""Memory of a run, from counts, before any long work: states of all points, and one cell for each rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fe2.case.build_laws import Subdomain
from fe2.dispatch.rows import Shape
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.memory import check_memory
from fe2.micro.memory_estimate import cell_memory
from fe2.micro.model import MicroModel
from fe2.parallel import on_every_rank

_NUMBER = 8
"""Bytes of a number."""


@dataclass(frozen=True)
class RunMemory:
    """What a run takes.

    Attributes:
        points: Points with a micro model, on all ranks.
        states: Bytes of a rank's share of their states and answers, with what a checkpoint copies of them.
        cells: Bytes of the cells that a rank solves.
    """

    points: int
    states: float
    cells: float

    @property
    def rank(self) -> float:
        """Bytes of a rank."""
        return self.states + self.cells


def run_memory(subdomains: Sequence[Subdomain], marked: MarkedMesh, quadrature_degree: int) -> RunMemory:
    """What a run takes, from counts; collective.

    Args:
        subdomains: The laws with their cells.
        marked: The macroscopic mesh.
        quadrature_degree: Its quadrature degree.
    """
    points, states, cells = 0, 0.0, 0.0
    for subdomain in subdomains:
        if subdomain.micro is None:
            continue
        count = subdomain.points(marked, quadrature_degree)
        points += count
        states += point_memory(subdomain.micro, marked.mesh.comm.size) * count / marked.mesh.comm.size
        if _solves_cells(subdomain) and subdomain.rve is not None:
            cells += cell_memory(subdomain.rve.problem)
    return RunMemory(points, states, cells)


def check_run_memory(
    subdomains: Sequence[Subdomain], marked: MarkedMesh, quadrature_degree: int
) -> RunMemory:
    """Refuse a run whose states and cells do not fit into the memory; collective.

    Args:
        subdomains: As in :func:`run_memory`.
        marked: The same.
        quadrature_degree: The same.

    Raises:
        InputError: On all ranks: they do not fit.
    """
    comm = marked.mesh.comm
    needed = run_memory(subdomains, marked, quadrature_degree)

    def remedy(available: float) -> str:
        left = available - needed.cells
        if left <= 0.0:
            return f"the cells alone take {needed.cells / 1e9:.3g} GB: a coarser cell is needed"
        fit = int(needed.points * left / needed.states)
        return f"{fit} points fit, on a coarser macroscopic mesh, or more nodes with fewer ranks on each"

    on_every_rank(
        comm,
        lambda: check_memory(
            needed.rank,
            f"a rank with its share of the states of {needed.points} points, {needed.states / 1e9:.3g} GB, "
            "and its cells,",
            remedy,
        ),
    )
    return needed


def _solves_cells(subdomain: Subdomain) -> bool:
    """Whether cells are solved in the run: at all points, or at those where what stands for them fails."""
    return subdomain.law.model is not None and subdomain.law.model.solves_cells


def state_memory(size: int, points: int) -> float:
    """Bytes of the committed and the trial state of points, of `size` numbers each."""
    return 2.0 * _NUMBER * size * points


def point_memory(micro: MicroModel, ranks: int) -> float:
    """Bytes of a point: its rows, flux and tangent in the macroscopic form, and rows being stored."""
    m = micro.kinematics.size
    rows = Shape(1, micro.state_size, m).numbers
    copies = 1 if ranks == 1 else 2  # where rows come back from other ranks, and are put in the cells' order
    return float(_NUMBER * (rows + 2 * m * (m + 1) + copies * micro.lasting_size))
