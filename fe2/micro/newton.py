r"""Equilibrium of a cell: Newton's method with a line search on the free fluctuations.

The equilibrium is :math:`P T^T r(X g + T w) = 0`, where :math:`P` projects onto the admissible
fluctuations, :math:`C w = 0`, and is the identity where there are no constraints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from petsc4py import PETSc

from fe2.errors import InputError, MicroSolveError
from fe2.micro.distributed_solver import DistributedSolver, folded_part
from fe2.micro.folding import FoldedMatrix
from fe2.micro.linear_solver import LinearSolver
from fe2.micro.problem import CellProblem
from fe2.micro.reused_factorizations import ReusedFactorizations, reuses_factorizations
from fe2.micro.solver_choice import OPTIONS_PREFIX
from fe2.profile import phase

Array = npt.NDArray[np.float64]

STRATEGIES = ("adaptive", "newton")

_LINE_SEARCH_TRIALS = 6
_SUFFICIENT_DECREASE = 0.8
_TINY = float(np.finfo(float).tiny)
_ROUND_OFF = 1e-15
"""Residual that is round-off, relative to the elastic forces at a gradient of the size of the origin."""


@dataclass(frozen=True)
class NewtonOptions:
    """When a cell counts as solved.

    Attributes:
        tolerance: Norm of the residual relative to the forces in the cell, those that act on its
            faces or those of an elastic response to the gradient, whichever is larger.
        max_iterations: Linear systems after which the iteration is given up.
        strategy: "adaptive" does no more than the macroscopic iteration needs, see `adaptive.py`;
            "newton" solves every cell from its committed state to the full tolerance, and
            factorizes at every iteration and once more for the tangent.
        parts: Most parts into which an increment is split that fails as a whole; 1 for never.
    """

    tolerance: float = 1e-8
    max_iterations: int = 30
    strategy: Literal["adaptive", "newton"] = "adaptive"
    parts: int = 8

    def __post_init__(self) -> None:
        """Refuse a strategy that there is not."""
        if self.strategy not in STRATEGIES:
            raise InputError(
                f"strategy = {self.strategy!r} is not known; it is one of {', '.join(STRATEGIES)}"
            )


def with_database(options: NewtonOptions | None) -> NewtonOptions:
    """The options, the defaults where there are none; ``-fe2_micro_strategy`` in PETSc's database wins.

    Raises:
        InputError: The database has a strategy that there is not.
    """
    options = options or NewtonOptions()
    strategy = PETSc.Options(OPTIONS_PREFIX).getString("strategy", options.strategy)
    return replace(options, strategy=strategy)


@dataclass
class Equilibrium:
    """A point on the way to equilibrium: fluctuation, nodal and projected residual, norms so far.

    The size is the weighted norm of the nodal residual, of the forces on the faces.
    """

    fluctuation: Array
    nodal: Array
    residual: Array
    size: float
    norms: list[float] = field(default_factory=list)

    @property
    def iterations(self) -> int:
        """Linear systems solved."""
        return len(self.norms) - 1


class CellNewton:
    """Newton's method for a cell problem, with its one matrix and factorization.

    Attributes:
        linear_solver: Solver for the matrix of the last :meth:`linearize`.
        trace: Receives the norm of every residual, where it is a list.
    """

    def __init__(self, problem: CellProblem, options: NewtonOptions) -> None:
        """Set up matrix and solver, and measure the forces of the virgin cell."""
        self.problem, self.options = problem, options
        self._folded, self.linear_solver = _matrix_and_solver(problem)
        self.trace: list[float] | None = None
        self._constraints = problem.boundary.constraints
        self._gram = np.linalg.inv(self._constraints @ self._constraints.T)
        self._weights = np.ones(len(problem.form.modes))
        self._weights, self._elastic_forces = self._virgin_forces()
        kept = problem.boundary.free >= 0
        self._free_weights = np.ones(problem.boundary.size)
        self._free_weights[problem.boundary.free[kept]] = self._weights[kept]
        self.linear_solver.weights = self._free_weights
        origin = problem.form.kinematics.origin_size
        self._round_off = _ROUND_OFF * origin * float(np.linalg.norm(self._elastic_forces))

    def linearize(self, *, loosely: bool = False) -> None:
        """Assemble and factorize the stiffness at the field of the last residual.

        Args:
            loosely: Solutions to a few digits are enough, so that an older factorization may do.
        """
        values = self.problem.assemble_stiffness()
        with phase("assembly"):
            self._folded.update(values)
        if loosely:
            self.linear_solver.renew()
        else:
            self.linear_solver.factorize()

    def equilibrate(self, gradient: Array, committed: Array, fluctuation: Array) -> Equilibrium:
        """Solve for the fluctuation; the history has to be loaded.

        Args:
            gradient: Macroscopic gradient, shape (m,).
            committed: Gradient of the committed state, shape (m,).
            fluctuation: First guess, shape (n,).

        Raises:
            MicroSolveError: The iteration did not converge.
        """
        forces = self.forces(gradient, committed)
        point = self.start(gradient, fluctuation)
        while self.error(point, forces) > self.options.tolerance:
            self.linearize()
            point = self.step(gradient, point, forces)
        return point

    def forces(self, gradient: Array, committed: Array) -> float:
        """Norm of the forces of an elastic response, the scale of the residuals."""
        forces = self._elastic_forces
        return max(length(forces @ gradient), length(forces @ (gradient - committed)))

    def start(self, gradient: Array, fluctuation: Array) -> Equilibrium:
        """The point at which an iteration starts; the history has to be loaded.

        Raises:
            MicroSolveError: The residual is not finite, or a phase law failed.
        """
        point = self._residual_at(gradient, fluctuation)
        point.norms.append(self._norm(point))
        if not np.isfinite(point.norms[-1]):
            raise MicroSolveError(f"the cell problem has no finite residual to start from, {_norms(point)}")
        return point

    def step(self, gradient: Array, point: Equilibrium, forces: float) -> Equilibrium:
        """One iteration with the last linearization.

        Raises:
            MicroSolveError: There were too many, or no step lowers the residual.
        """
        if point.iterations >= self.options.max_iterations:
            raise MicroSolveError(_not_converged(point, self.options.tolerance * forces))
        return self._line_search(gradient, point, -self.linear_solver.solve(point.residual))

    def error(self, point: Equilibrium, forces: float) -> float:
        """Norm of the residual relative to the forces in the cell; zero where it is round-off."""
        norm = point.norms[-1]
        if norm <= self._round_off:
            return 0.0
        return norm / max(forces, point.size, _TINY)

    def _line_search(self, gradient: Array, start: Equilibrium, direction: Array) -> Equilibrium:
        """Secant search for the zero of direction · residual; a full step that helps is taken."""
        slope, length = float(direction @ start.residual), 1.0
        failure: MicroSolveError | None = None
        for _ in range(_LINE_SEARCH_TRIALS):
            try:
                trial = self._residual_at(gradient, start.fluctuation + length * direction)
            except MicroSolveError as error:
                failure, length = error, 0.5 * length
                continue
            norm, new_slope = self._norm(trial), float(direction @ trial.residual)
            if norm <= start.norms[-1] or abs(new_slope) <= _SUFFICIENT_DECREASE * abs(slope):
                trial.norms = [*start.norms, norm]
                return trial
            secant = slope / (slope - new_slope) if np.isfinite(new_slope) and new_slope != slope else 0.5
            length *= float(np.clip(secant, 0.1, 0.7))
        raise MicroSolveError(
            "the line search of the cell problem found no step that lowers the residual, " + _norms(start)
        ) from failure

    def _residual_at(self, gradient: Array, fluctuation: Array) -> Equilibrium:
        self.problem.set_field(gradient, fluctuation)
        nodal = self.problem.assemble_residual()
        residual = self._project(self.problem.restrict(nodal))
        return Equilibrium(fluctuation, nodal, residual, length(self._weights * nodal))

    def _project(self, forces: Array) -> Array:
        if not len(self._constraints):
            return forces
        reactions: Array = self._gram @ (self._constraints @ forces)
        projected: Array = forces - self._constraints.T @ reactions
        return projected

    def _norm(self, point: Equilibrium) -> float:
        norm = length(self._free_weights * point.residual)
        if self.trace is not None:
            self.trace.append(norm)
        return norm

    def _virgin_forces(self) -> tuple[Array, Array]:
        """Weights (N,) of the residuals, and the triangular factor of the unloaded cell's forces, (m, m).

        The weighted forces K_f X g of an elastic response are the scale of the residuals; the factor R of
        K_f X = QR gives their norm. Fields of the unknown have residuals in units of
        their own: weights make the forces of all fields as large as those of the first.
        """
        problem = self.problem
        problem.load(np.zeros(problem.layout.size), 0.0)
        self._residual_at(problem.form.kinematics.origin, np.zeros(problem.boundary.size))
        problem.assemble_stiffness()
        forces: Array = problem.stiffness @ problem.form.modes
        weights = _field_weights(problem, forces)
        factor: Array = np.linalg.qr(weights[:, None] * forces, mode="r")
        return weights, factor


def _matrix_and_solver(problem: CellProblem) -> tuple[FoldedMatrix, LinearSolver | DistributedSolver]:
    if problem.share.is_whole:
        folded = FoldedMatrix(problem.local_stiffness, problem.boundary)
        solver = ReusedFactorizations if reuses_factorizations(problem) else LinearSolver
        return folded, solver(folded, problem)
    folded = folded_part(problem)
    return folded, DistributedSolver(folded, problem)


def _field_weights(problem: CellProblem, forces: Array) -> Array:
    """Weights (N,) that make the forces of every field of the unknown as large as those of the first."""
    weights = np.ones(len(forces))
    fields = [dofs for _, dofs in problem.form.fields()]
    if len(fields) == 1:
        return weights
    summands = abs(problem.stiffness) @ np.abs(problem.form.modes)
    sizes = [_size(forces[dofs], summands[dofs]) for dofs in fields]
    given = problem.form.weights or (1.0,) * len(fields)
    for dofs, size, weight in zip(fields, sizes, given, strict=True):
        weights[dofs] = sizes[0] / size if size and sizes[0] else weight
        if np.all(problem.boundary.free[dofs] < 0):
            weights[dofs] = 0.0  # the field is given: its residual is not to be solved for
    return weights


def _size(forces: Array, summands: Array) -> float:
    """Norm of the forces, or zero where they are the round-off of their summands."""
    norm = float(np.linalg.norm(forces))
    return norm if norm > 1e-10 * float(np.linalg.norm(summands)) else 0.0


def length(vector: Array) -> float:
    """Norm of a vector, in less time than NumPy's where there are few components."""
    return math.sqrt(vector @ vector)


def _not_converged(point: Equilibrium, wanted: float) -> str:
    return (
        f"the cell problem did not converge in {point.iterations} iterations to {wanted:.2g}, {_norms(point)}"
    )


def _norms(point: Equilibrium) -> str:
    return "residuals " + ", ".join(f"{norm:.2e}" for norm in point.norms[-6:])
