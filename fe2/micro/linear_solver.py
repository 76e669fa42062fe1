"""The linear solver of a cell: one PETSc matrix and one factorization, used for all its states.

The default is a direct solve by MUMPS, of a symmetric matrix where the phases' tangents are
symmetric. PETSc options with the prefix ``fe2_micro_`` override it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mpi4py import MPI
from petsc4py import PETSc

from fe2.errors import MicroSolveError
from fe2.micro.folding import FoldedMatrix

Array = npt.NDArray[np.float64]

OPTIONS_PREFIX = "fe2_micro_"


@dataclass(frozen=True)
class SolverChoice:
    """How linear systems are solved, and why so."""

    name: str
    reason: str


class LinearSolver:
    """Solves with the folded matrix of a cell.

    The matrix shares memory with `folded`; :meth:`factorize` has to follow every update of it.
    """

    def __init__(self, folded: FoldedMatrix, *, free: int, symmetric: bool) -> None:
        """Create the solver.

        Args:
            folded: The matrix, with its border of constraints.
            free: Number of free fluctuations; the remaining rows are constraints.
            symmetric: Whether the matrix is symmetric for every state.
        """
        self.free = free
        self.choice = SolverChoice("sparse factorization (MUMPS)", f"{free} unknowns are few")
        shape = (folded.size, folded.size)
        csr = (folded.indptr, folded.indices, folded.data)
        self.matrix = PETSc.Mat().createAIJWithArrays(shape, csr, comm=MPI.COMM_SELF)
        self.matrix.setOption(PETSc.Mat.Option.SYMMETRIC, symmetric)
        self.ksp = PETSc.KSP().create(MPI.COMM_SELF)
        self.ksp.setOptionsPrefix(OPTIONS_PREFIX)
        self.ksp.setType(PETSc.KSP.Type.PREONLY)
        pc = self.ksp.getPC()
        pc.setType(PETSc.PC.Type.CHOLESKY if symmetric else PETSc.PC.Type.LU)
        pc.setFactorSolverType("mumps")
        self.ksp.setOperators(self.matrix)
        self.ksp.setFromOptions()
        self._right, self._solution = self.matrix.createVecs()

    def factorize(self) -> None:
        """Set up the solver for the current values of the matrix.

        Raises:
            MicroSolveError: The matrix is singular, or there is not enough memory.
        """
        self.matrix.stateIncrease()
        self.ksp.setOperators(self.matrix)
        self.ksp.setUp()
        if reason := self.ksp.getPC().getFailedReason():
            raise MicroSolveError(f"the linearized cell problem could not be factorized (PETSc: {reason})")

    def solve(self, right: Array) -> Array:
        """Solution for one right-hand side of the free fluctuations, shape (n,)."""
        self._right.array[: self.free] = right
        self._right.array[self.free :] = 0.0
        self.ksp.solve(self._right, self._solution)
        self._check()
        return self._solution.array[: self.free].copy()

    def solve_many(self, right: Array) -> Array:
        """Solutions for the columns of `right`, shape (n, m)."""
        padded = np.zeros((self.matrix.size[0], right.shape[1]), order="F")
        padded[: self.free] = right
        columns = PETSc.Mat().createDense(padded.shape, array=padded, comm=MPI.COMM_SELF)
        solutions = PETSc.Mat().createDense(padded.shape, comm=MPI.COMM_SELF)
        solutions.setUp()
        self.ksp.matSolve(columns, solutions)
        self._check()
        result: Array = solutions.getDenseArray()[: self.free].copy()
        columns.destroy()
        solutions.destroy()
        return result

    def _check(self) -> None:
        if (reason := self.ksp.getConvergedReason()) < 0:
            raise MicroSolveError(f"the linearized cell problem was not solved (PETSc's KSP reason {reason})")
