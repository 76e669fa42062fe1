"""Linear systems of a cell that several ranks solve together: a matrix in parts, a parallel solver.

`solver_choice` says which solver, as on one rank: a factorization by MUMPS, or conjugate gradients with
algebraic multigrid, here on all ranks of the group.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from petsc4py import PETSc

from fe2.micro.direct_fallback import GaveUpError, direct_instead
from fe2.micro.folding import FoldedMatrix
from fe2.micro.linear_solver import (
    STEP,
    TANGENT,
    check_factorized,
    check_residuals,
    check_solved,
    given_types,
    overridden,
)
from fe2.micro.problem import CellProblem
from fe2.micro.solver_choice import OPTIONS_PREFIX, solver_setting
from fe2.petsc_errors import set_from_options, set_up, solving
from fe2.profile import count, phase
from fe2.records import SolverChoice

Array = npt.NDArray[np.float64]


def folded_part(problem: CellProblem) -> FoldedMatrix:
    """This rank's part of the folded matrix; the border of constraints is the first rank's."""
    boundary, share = problem.boundary, problem.share
    if share.comm.rank > 0:
        boundary = replace(boundary, constraints=np.zeros_like(boundary.constraints))
    return FoldedMatrix(problem.local_stiffness, boundary)


class DistributedSolver:
    """Solves with the sum of the ranks' folded matrices. All ranks hold right-hand sides and solutions.

    Attributes:
        choice: How linear systems are solved, and why so.
        iterations: Iterations for each of the last columns.
        residual: What the last :meth:`solve_many` left of its right-hand sides, shape (n, m), or None where
            it is round-off.
        weights: What makes residuals of all fields of the unknown comparable, shape (n,).
    """

    def __init__(self, folded: FoldedMatrix, problem: CellProblem) -> None:
        """Create matrix and solver; collective.

        Args:
            folded: This rank's part of the matrix.
            problem: The cell problem.
        """
        self._folded, self.free, comm = folded, problem.boundary.size, problem.share.comm
        self.weights, self._hint = np.ones(self.free), problem.form.singular_hint
        block = _block_size(problem)
        nodes = folded.size // block
        own = block * (nodes // comm.size + (comm.rank < nodes % comm.size))
        self.matrix = PETSc.Mat().create(comm)
        self.matrix.setSizes(((own, folded.size), (own, folded.size)), bsize=block)
        self.matrix.setType(PETSc.Mat.Type.AIJ)
        rows = np.repeat(np.arange(folded.size, dtype=np.int32), np.diff(folded.indptr))
        self.matrix.setPreallocationCOO(rows, folded.indices)
        self.matrix.setOption(PETSc.Mat.Option.SYMMETRIC, problem.form.symmetric)
        self.iterations: tuple[int, ...] = ()
        self.residual: Array | None = None
        self._right, self._solution = self.matrix.createVecs()
        self._image = self._right.duplicate()
        self._gather, self._everything = PETSc.Scatter.toAll(self._solution)
        self.ksp = PETSc.KSP().create(comm)
        self.ksp.setOptionsPrefix(OPTIONS_PREFIX)
        self.ksp.setOperators(self.matrix)
        setting = solver_setting(problem)
        self._prepare = setting.prepare
        self._prepare(self.ksp, self.matrix)
        self._direct = None if given_types() else setting.direct
        set_from_options(self.ksp)
        chosen = overridden(self.ksp, setting.choice)
        self.choice = SolverChoice(f"{chosen.name}, on {comm.size} ranks", chosen.reason)

    def factorize(self) -> None:
        """Set up the solver for the current values of the parts; collective.

        Raises:
            MicroSolveError: The matrix is singular, or there is not enough memory.
        """
        count("factorizations")
        with phase("factorization"):
            self.matrix.setValuesCOO(self._folded.data, addv=PETSc.InsertMode.INSERT_VALUES)
            self.ksp.setOperators(self.matrix)
            set_up(self.ksp)
        check_factorized(self.ksp, self._prepare)

    def renew(self) -> None:
        """As :meth:`factorize`; collective."""
        self.factorize()

    def solve(self, right: Array) -> Array:
        """Solution for one right-hand side of the free fluctuations, shape (n,); collective.

        Raises:
            MicroSolveError: The solver gave up, or the matrix is singular.
        """
        try:
            solution, left = self._solve_one(right)
        except GaveUpError as failure:
            self._factorize_instead(failure)
            solution, left = self._solve_one(right)
        check_residuals(left, right, self.weights, STEP, self._hint)
        return solution

    def _factorize_instead(self, failure: GaveUpError) -> None:
        self.ksp, choice = direct_instead(self.matrix, self._direct, self.choice, failure)
        self.choice = replace(choice, name=f"{choice.name}, on {self.matrix.comm.size} ranks")
        self._prepare, self._direct = self._direct or self._prepare, None

    def solve_many(self, right: Array, guess: Array | None = None) -> Array:
        """Solutions for the columns of `right`, shape (n, m); collective. The guess is not needed.

        Raises:
            MicroSolveError: The solver gave up, or the matrix is singular.
        """
        try:
            return self._solve_each(right)
        except GaveUpError as failure:
            self._factorize_instead(failure)
            return self._solve_each(right)

    def _solve_each(self, right: Array) -> Array:
        solutions, left, counts = np.empty_like(right), np.empty_like(right), []
        for column, values in enumerate(right.T):
            solutions[:, column], left[:, column] = self._solve_one(values)
            counts.append(self.ksp.getIterationNumber())
        is_direct = self.ksp.getType() == PETSc.KSP.Type.PREONLY
        check_residuals(left, right, self.weights, TANGENT if is_direct else STEP, self._hint)
        self.iterations, self.residual = tuple(counts), None if is_direct else left
        return solutions

    def _solve_one(self, right: Array) -> tuple[Array, Array]:
        """Solution for one right-hand side, and what it leaves of it; collective."""
        first, end = self._right.getOwnershipRange()
        padded = np.concatenate([right, np.zeros(self._folded.size - self.free)])
        self._right.array[:] = padded[first:end]
        count("solves")
        with phase("solve"), solving():
            self.ksp.solve(self._right, self._solution)
            check_solved(self.ksp)
            self.matrix.mult(self._solution, self._image)
        return self._gathered(self._solution), right - self._gathered(self._image)

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
