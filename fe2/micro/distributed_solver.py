"""Linear systems of a cell that several ranks solve together: a matrix in parts, a parallel solver.

`solver_choice` says which solver, as on one rank: a factorization by MUMPS, or conjugate gradients with
algebraic multigrid, here on all ranks of the group.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from petsc4py import PETSc

from fe2.arrays import Array
from fe2.micro.boundary import BoundaryMap
from fe2.micro.linear_solver import LinearSolver
from fe2.micro.problem import CellProblem
from fe2.records import SolverChoice


class DistributedSolver(LinearSolver):
    """Solves with the sum of the ranks' folded matrices. All ranks hold right-hand sides and solutions."""

    def __init__(self, problem: CellProblem) -> None:
        """Create matrix and solver; collective."""
        super().__init__(problem)
        self._gather, self._everything = PETSc.Scatter.toAll(self._solution)

    @property
    def _solves_side_by_side(self) -> bool:
        return False

    def _own_boundary(self, problem: CellProblem) -> BoundaryMap:
        """The border of constraints is the first rank's."""
        boundary = problem.boundary
        if problem.share.comm.rank == 0:
            return boundary
        return replace(boundary, constraints=np.zeros_like(boundary.constraints))

    def _created(self, problem: CellProblem, *, iterative: bool) -> PETSc.Mat:
        folded, comm, block = self._folded, problem.share.comm, _block_size(problem)
        nodes = folded.size // block
        own = block * (nodes // comm.size + (comm.rank < nodes % comm.size))
        matrix = PETSc.Mat().create(comm)
        matrix.setSizes(((own, folded.size), (own, folded.size)), bsize=block)
        matrix.setType(PETSc.Mat.Type.AIJ)
        rows = np.repeat(np.arange(folded.size, dtype=np.int32), np.diff(folded.indptr))
        matrix.setPreallocationCOO(rows, folded.indices.copy())  # PETSc sorts them in place
        return matrix

    def _refresh(self) -> None:
        self.matrix.setValuesCOO(self._folded.data, addv=PETSc.InsertMode.INSERT_VALUES)

    def _named(self, choice: SolverChoice) -> SolverChoice:
        return replace(choice, name=f"{choice.name}, on {self.matrix.comm.size} ranks")

    def _gathered(self, vector: PETSc.Vec) -> Array:
        """The free fluctuations of a vector, on every rank."""
        self._gather.scatter(vector, self._everything)
        values: Array = self._everything.array[: self.free].copy()
        return values


def _block_size(problem: CellProblem) -> int:
    """Components of the unknown at a node where whole nodes are free or fixed, else 1."""
    block = int(problem.form.unknown.function_space.dofmap.index_map_bs)
    free = problem.boundary.free.reshape(-1, block)
    whole = np.all(free < 0, axis=1) | (
        (free[:, 0] % block == 0) & np.all(np.diff(free, axis=1) == 1, axis=1)
    )
    return block if np.all(whole) and not len(problem.boundary.constraints) else 1
