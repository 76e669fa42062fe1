"""Memory of a run, from counts, before any long work: states of all points, and one cell for each rank."""

from __future__ import annotations

from collections.abc import Sequence

from fe2.case.build_laws import Subdomain
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.memory import check_memory
from fe2.micro.memory_estimate import cell_memory
from fe2.parallel import on_every_rank


def check_run_memory(subdomains: Sequence[Subdomain], marked: MarkedMesh, quadrature_degree: int) -> None:
    """Refuse a run whose states and cells do not fit into the memory; collective.

    Args:
        subdomains: The laws with their cells.
        marked: The macroscopic mesh.
        quadrature_degree: Its quadrature degree.

    Raises:
        InputError: On all ranks: they do not fit.
    """
    comm, points, states, cells = marked.mesh.comm, 0, 0.0, 0.0
    for subdomain in subdomains:
        if subdomain.micro is None:
            continue
        count = subdomain.points(marked, quadrature_degree)
        points += count
        states += state_memory(subdomain.micro.state_size, count) / comm.size
        if subdomain.law.mode == "concurrent" and subdomain.rve is not None:
            cells += cell_memory(subdomain.rve.problem)

    def check() -> None:
        check_memory(
            states + cells,
            f"a rank with its share of the states of {points} points, {states / 1e9:.3g} GB, and its cells,",
            "a coarser macroscopic mesh, a smaller cell, or more nodes with fewer ranks on each",
        )

    on_every_rank(comm, check)


def state_memory(size: int, points: int) -> float:
    """Bytes of the committed and the trial state of points, of `size` numbers each."""
    return 2.0 * 8.0 * size * points
