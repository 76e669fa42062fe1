"""The linear solver of a cell: one PETSc matrix and one factorization or preconditioner for all states.

`solver_choice` says which; PETSc options with the prefix ``fe2_micro_`` override it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from mpi4py import MPI
from petsc4py import PETSc

from fe2.arrays import Array, Ints, Mask
from fe2.errors import MicroSolveError
from fe2.memory import keep_freed_memory
from fe2.micro.boundary import BoundaryMap
from fe2.micro.direct_fallback import GaveUpError, direct_instead
from fe2.micro.folding import FoldedMatrix
from fe2.micro.form import CellForm
from fe2.micro.problem import CellProblem
from fe2.micro.solver_choice import OPTIONS_PREFIX, describe_grid, solver_setting
from fe2.petsc_errors import set_from_options, set_up, solving
from fe2.profile import count, phase
from fe2.records import SolverChoice

STEP, TANGENT = 1e-3, 1e-6
"""Residuals, relative to the right-hand side, above which a Newton step or a sensitivity is no solution."""
_NO_LOAD = 1e-10
"""Right-hand side that is the round-off of the others, relative to the largest of them."""
_FAILED = {
    1: "is singular: its factorization met a zero pivot",
    2: "is singular: its factorization met a zero pivot",
    3: "could not be factorized: there is not enough memory",
}
"""What PETSc's reasons mean for which a preconditioner could not be set up."""


class LinearSolver:
    """Solves with the folded matrix of a cell.

    The matrix shares memory with the folded one; :meth:`factorize` has to follow every update of it.
    Every solution is looked at: a factorization may not notice that its matrix is singular.

    Attributes:
        choice: How linear systems are solved, and why so.
        iterations: Iterations for each of the last columns; none where they were not iterated.
        residual: What the last :meth:`solve_many` left of its right-hand sides, shape (n, m), or None where
            it is round-off.
        weights: What makes residuals of all fields of the unknown comparable, shape (n,).
    """

    def __init__(self, problem: CellProblem) -> None:
        """Create matrix and solver for a cell problem; collective over the ranks that solve it."""
        keep_freed_memory()
        self.free = problem.boundary.size
        self.weights, self._hint = np.ones(self.free), problem.form.singular_hint
        setting = solver_setting(problem)
        self.iterations: tuple[int, ...] = ()
        self.residual: Array | None = None
        self._held: Mask | None = None
        self._folded = FoldedMatrix(
            problem.local_stiffness, self._own_boundary(problem), _coupled(problem.form)
        )
        self.matrix = self._created(problem, iterative=setting.iterative)
        self.matrix.setOption(PETSc.Mat.Option.SYMMETRIC, problem.form.symmetric)
        self._prepare = setting.prepare
        self._direct = None if given_types() else setting.direct
        self.ksp = self._new_ksp()
        self.choice = self._named(overridden(self.ksp, setting.choice))
        self._right, self._solution = self.matrix.createVecs()
        self._right.set(0.0)  # as the rows of constraints stay
        self._image = self._right.duplicate()
        self._dense_pair: tuple[PETSc.Mat, PETSc.Mat] | None = None

    def update(self, values: Array) -> None:
        """Take the values of the stiffness over all degrees of freedom, in the order of its data."""
        self._folded.update(values)

    def hold(self, held: Mask) -> None:
        """Take free fluctuations and constraints away, a mask of both: solutions are zero there."""
        self._held = held[: self.free]
        self._folded.hold(held)

    def factorize(self) -> None:
        """Set up the solver for the current values of the matrix; collective.

        Raises:
            MicroSolveError: The matrix is singular, or there is not enough memory.
        """
        count("factorizations")
        with phase("factorization"):
            self._refresh()
            self.ksp.setOperators(self.matrix)
            set_up(self.ksp)
        check_factorized(self.ksp, self._prepare)

    def renew(self) -> None:
        """As :meth:`factorize`, where solutions to a few digits are enough."""
        self.factorize()

    def solve(self, right: Array) -> Array:
        """Solution for one right-hand side of the free fluctuations, shape (n,); collective.

        Raises:
            MicroSolveError: The solver gave up, or the matrix is singular.
        """
        right = self._unheld(right)
        try:
            solution, left = self._solve_one(right)
        except GaveUpError as failure:
            self._factorize_instead(failure)
            solution, left = self._solve_one(right)
        check_residuals(left, right, self.weights, STEP, self._hint)
        return solution

    def solve_many(self, right: Array, guess: Array | None = None) -> Array:
        """Solutions for the columns of `right`, shape (n, m); collective.

        Args:
            right: Right-hand sides.
            guess: Solutions of a similar matrix, for solvers that can make use of them.

        Raises:
            MicroSolveError: The solver gave up, or the matrix is singular.
        """
        right = self._unheld(right)
        if not self._solves_side_by_side:
            try:
                return self._solve_each(right)
            except GaveUpError as failure:
                self._factorize_instead(failure)
                return self.solve_many(right)
        solutions, self.residual = self._back_substitute(self.ksp, right), None
        check_solved(self.ksp)
        with phase("solve"):
            bordered = self._dense(right.shape[1])[1].getDenseArray(readonly=True)
            left = right - (self._matrix @ bordered)[: self.free]
        check_residuals(left, right, self.weights, TANGENT, self._hint)
        return solutions

    def _unheld(self, right: Array) -> Array:
        if self._held is None:
            return right
        return np.where(self._held.reshape(-1, *(1,) * (right.ndim - 1)), 0.0, right)

    @property
    def _is_direct(self) -> bool:
        return bool(self.ksp.getType() == PETSc.KSP.Type.PREONLY)

    @property
    def _solves_side_by_side(self) -> bool:
        """Whether columns are solved all at once."""
        return self._is_direct

    def _own_boundary(self, problem: CellProblem) -> BoundaryMap:
        """The boundary condition, with the constraints that stand in this rank's matrix."""
        return problem.boundary

    def _created(self, problem: CellProblem, *, iterative: bool) -> PETSc.Mat:
        """The matrix, which shares memory with the folded one."""
        folded, shape = self._folded, (self._folded.size, self._folded.size)
        self._matrix = sp.csr_matrix((folded.data, folded.indices, folded.indptr), shape=shape)
        blocks = problem.form.unknown.function_space.dofmap.index_map_bs
        bsize = blocks if iterative and self.free % blocks == 0 else None
        csr = (folded.indptr, folded.indices, folded.data)
        matrix = PETSc.Mat().createAIJWithArrays(shape, csr, bsize=bsize, comm=MPI.COMM_SELF)
        describe_grid(problem, matrix)
        return matrix

    def _refresh(self) -> None:
        """Let the matrix know the values of the folded one."""
        self.matrix.stateIncrease()

    def _named(self, choice: SolverChoice) -> SolverChoice:
        return choice

    def _factorize_instead(self, failure: GaveUpError) -> None:
        self.ksp, choice = direct_instead(self.matrix, self._direct, self.choice, failure)
        self.choice = self._named(choice)
        self._prepare, self.iterations, self._direct = self._direct or self._prepare, (), None

    def _solve_one(self, right: Array) -> tuple[Array, Array]:
        """Solution for one right-hand side, and what it leaves of it; collective."""
        own = right[slice(*self._right.getOwnershipRange())]
        self._right.array[: len(own)] = own
        count("solves")
        with phase("solve"), solving():
            self.ksp.solve(self._right, self._solution)
            check_solved(self.ksp)
            self.matrix.mult(self._solution, self._image)
            return self._gathered(self._solution), right - self._gathered(self._image)

    def _gathered(self, vector: PETSc.Vec) -> Array:
        """The free fluctuations of a vector."""
        values: Array = vector.array[: self.free].copy()
        return values

    def _new_ksp(self) -> PETSc.KSP:
        ksp = PETSc.KSP().create(self.matrix.comm)
        ksp.setOptionsPrefix(OPTIONS_PREFIX)
        ksp.setOperators(self.matrix)
        self._prepare(ksp, self.matrix)
        set_from_options(ksp)
        return ksp

    def _back_substitute(self, ksp: PETSc.KSP, right: Array) -> Array:
        """Solutions of a factorization for the columns of `right`, all at once."""
        columns, solutions = self._dense(right.shape[1])
        columns.getDenseArray()[: self.free] = right
        count("solves", right.shape[1])
        with phase("solve"), solving():
            ksp.matSolve(columns, solutions)
        result: Array = solutions.getDenseArray(readonly=True)[: self.free].copy()
        return result

    def _dense(self, count: int) -> tuple[PETSc.Mat, PETSc.Mat]:
        """Matrices for right-hand sides, zero behind the free fluctuations, and for solutions."""
        if self._dense_pair is None or self._dense_pair[0].size[1] != count:
            shape = self.matrix.size[0], count
            self._dense_pair = (
                PETSc.Mat().createDense(shape, comm=MPI.COMM_SELF),
                PETSc.Mat().createDense(shape, comm=MPI.COMM_SELF),
            )
            for matrix in self._dense_pair:
                matrix.setUp()
        return self._dense_pair

    def _solve_each(self, right: Array) -> Array:
        solutions, left, counts = np.empty_like(right), np.empty_like(right), []
        for column, values in enumerate(right.T):
            solutions[:, column], left[:, column] = self._solve_one(values)
            counts.append(self.ksp.getIterationNumber())
        check_residuals(left, right, self.weights, TANGENT if self._is_direct else STEP, self._hint)
        self.iterations, self.residual = tuple(counts), None if self._is_direct else left
        return solutions


def check_factorized(ksp: PETSc.KSP, prepare: Callable[[PETSc.KSP, PETSc.Mat], None]) -> None:
    """Raise where a solver could not be set up: the matrix is singular, or there is not enough memory.

    The solver is prepared anew then: PETSc hands MUMPS no other matrix after one that it did not factorize.
    """
    if reason := ksp.getPC().getFailedReason():
        matrix = ksp.getOperators()[0]
        ksp.reset()
        ksp.setOperators(matrix)
        prepare(ksp, matrix)
        set_from_options(ksp)
        text = _FAILED.get(reason, f"could not be factorized (PETSc: {reason})")
        raise MicroSolveError(f"the linearized cell problem {text}")


def check_solved(ksp: PETSc.KSP) -> None:
    """Raise where a solver gave up: a GaveUpError where it iterates."""
    if (reason := ksp.getConvergedReason()) < 0:
        text = f"the linearized cell problem was not solved (PETSc's KSP reason {reason})"
        raise MicroSolveError(text) if ksp.getType() == PETSc.KSP.Type.PREONLY else GaveUpError(text)


def check_residuals(left: Array, right: Array, weights: Array, limit: float, hint: str) -> None:
    """Raise where solutions do not solve: what the matrix is singular to takes a part of the right-hand side.

    Args:
        left: Residuals, shape (n,) or (n, m).
        right: Right-hand sides, of the same shape.
        weights: Weights of the rows, shape (n,).
        limit: Largest residual of a solution, relative to its right-hand side.
        hint: What to do about it, a sentence for the message.

    Raises:
        MicroSolveError: A solution leaves more, or is not finite.
    """
    residuals, loads = _lengths(weights * left.T), _lengths(weights * right.T)
    if np.all(residuals <= limit * loads):
        return
    loads = np.maximum(loads, _NO_LOAD * np.max(loads, initial=0.0))
    if not np.all(residuals <= limit * loads):
        worst = np.max(residuals / np.maximum(loads, np.finfo(float).tiny))
        raise MicroSolveError(
            f"the linearized cell problem is singular: its solution leaves the residual {worst:.1e} of the "
            f"right-hand side. {hint}".rstrip()
        )


def _lengths(rows: Array) -> Array:
    """Norm of a vector, or of each row; in less time than NumPy's where there are few."""
    return np.sqrt(np.einsum("...i,...i->...", rows, rows))


def overridden(ksp: PETSc.KSP, choice: SolverChoice) -> SolverChoice:
    """The choice, or what the options made of it."""
    if not (given := given_types()):
        return choice
    text = " ".join(f"-{OPTIONS_PREFIX}{name} {value}" for name, value in given.items())
    return SolverChoice(f"{ksp.getType()}, {ksp.getPC().getType()}", f"the option {text}")


def given_types() -> dict[str, str]:
    """The types of solver, preconditioner and factorization that the options ask for, by the option."""
    options = PETSc.Options(OPTIONS_PREFIX)
    names = ("ksp_type", "pc_type", "pc_factor_mat_solver_type")
    return {name: options.getString(name) for name in names if options.hasName(name)}


def _coupled(form: CellForm) -> Callable[[Ints, Ints], Mask] | None:
    """Which entries of a matrix are not zeros of fields that know nothing of each other; None where all do.

    Factorizations fill in what is stored, be it zero: without these a cell of two such fields costs hardly
    more than the two by themselves.
    """
    if not (decoupled := form.decoupled).any():
        return None
    fields = np.empty(len(form.modes), dtype=np.int64)
    for number, (_, dofs) in enumerate(form.fields()):
        fields[dofs] = number
    return lambda rows, columns: ~decoupled[fields[rows], fields[columns]]
