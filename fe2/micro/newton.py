r"""Equilibrium of a cell: Newton's method with a line search on the free fluctuations.

The equilibrium is :math:`P T^T r(X g + T w) = 0`, where :math:`P` projects onto the admissible
fluctuations, :math:`C w = 0`, and is the identity where there are no constraints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from petsc4py import PETSc

from fe2.arrays import Array, Mask
from fe2.errors import InputError, MicroSolveError, counted
from fe2.micro.distributed_solver import DistributedSolver
from fe2.micro.linear_solver import LinearSolver
from fe2.micro.problem import CellProblem
from fe2.micro.residual_norms import TINY, GroupNorms, Numbers, ResidualNorms
from fe2.micro.reused_factorizations import ReusedFactorizations, reuses_factorizations
from fe2.micro.solver_choice import OPTIONS_PREFIX
from fe2.profile import phase

if TYPE_CHECKING:
    from fe2.micro.cell_solver import CellSolver

STRATEGIES = ("adaptive", "newton")

_LINE_SEARCH_TRIALS = 6
_SUFFICIENT_DECREASE = 0.8


@dataclass(frozen=True)
class NewtonOptions:
    """When a cell counts as solved.

    Attributes:
        tolerance: Norm of the residual relative to the forces in the cell, those that act on its
            faces or those of an elastic response to the gradient, whichever is larger. Of several
            fields, as displacements and a temperature, the largest: each has forces of its own.
        max_iterations: Linear systems after which the iteration is given up.
        strategy: "adaptive" does no more than the macroscopic iteration needs, see `adaptive.py`;
            "newton" solves every cell from its committed state to the full tolerance, and
            factorizes at every iteration and once more for the tangent; or a `CellSolver`. A form that brings
            a solver of its own is solved with that, whatever is named here.
        parts: Most parts into which an increment is split that fails as a whole; 1 for never.
    """

    tolerance: float = 1e-8
    max_iterations: int = 30
    strategy: Literal["adaptive", "newton"] | CellSolver = "adaptive"
    parts: int = 8

    def __post_init__(self) -> None:
        """Refuse a strategy that there is not."""
        if self.strategy not in STRATEGIES and not hasattr(self.strategy, "equilibrate"):
            raise InputError(
                f"strategy = {self.strategy!r} is not known; it is one of {', '.join(STRATEGIES)}, or a "
                "CellSolver"
            )


def with_database(options: NewtonOptions | None) -> NewtonOptions:
    """The options, the defaults where there are none; ``-fe2_micro_strategy`` in PETSc's database wins.

    Raises:
        InputError: The database has a strategy that there is not.
    """
    options, strategy = options or NewtonOptions(), PETSc.Options(OPTIONS_PREFIX).getString("strategy", "")
    return replace(options, strategy=strategy) if strategy else options


@dataclass
class Equilibrium:
    """A point on the way to equilibrium.

    Attributes:
        fluctuation: Free fluctuations, shape (n,).
        nodal: Nodal residual, shape (N,).
        residual: Projected residual of the free fluctuations, shape (n,).
        residuals: Its norm, for each group of fields.
        faces: Norm of the nodal residual, of the forces on the faces, for each group.
        forces: Norm of the forces of an elastic response, for each group.
        errors: Residuals relative to the forces, elastic or on the faces; zero where they are round-off.
        norms: Norms of the residuals so far, of several groups those of the errors.
        earlier: Linear systems solved before this iteration.
    """

    fluctuation: Array
    nodal: Array
    residual: Array
    residuals: Numbers
    faces: Numbers
    forces: Numbers
    errors: Numbers = ()
    norms: list[float] = field(default_factory=list)
    earlier: int = 0

    @property
    def error(self) -> float:
        """The largest error of all groups of fields."""
        return max(self.errors)

    @property
    def iterations(self) -> int:
        """Linear systems solved."""
        return self.earlier + len(self.norms) - 1


class _LinearSystem(Protocol):
    """What solves with the stiffness of the free fluctuations, one right-hand side (n,) or columns (n, m).

    Attributes:
        residual: What the last :meth:`solve_many` left of its right-hand sides, or None for round-off.
    """

    residual: Array | None

    def update(self, values: Array) -> None: ...
    def factorize(self) -> None: ...
    def renew(self) -> None: ...
    def solve(self, right: Array) -> Array: ...
    def solve_many(self, right: Array, guess: Array | None = None) -> Array: ...


class CellNewton:
    """Newton's method for a cell problem, whole, in parts on several ranks, or reduced.

    Attributes:
        problem: The cell problem.
        options: When it counts as solved.
        linear_solver: Solver for the matrix of the last :meth:`linearize`.
        measure: Norms of residuals.
        trace: Receives the norm of every residual, where it is a list.
    """

    def __init__(
        self, problem: CellProblem, options: NewtonOptions, linear_solver: _LinearSystem, measure: GroupNorms
    ) -> None:
        """Put the iteration together; that of a whole cell is a `WholeCellNewton`."""
        self.problem, self.options = problem, options
        self.linear_solver, self.measure = linear_solver, measure
        self.trace: list[float] | None = None
        self._constraints = problem.boundary.constraints
        self._gram = np.linalg.inv(self._constraints @ self._constraints.T)
        self._held: Mask | None = None

    def linearize(self, *, loosely: bool = False) -> None:
        """Assemble and factorize the stiffness at the field of the last residual.

        Args:
            loosely: Solutions to a few digits are enough, so that an older factorization may do.
        """
        values = self.problem.assemble_stiffness()
        with phase("assembly"):
            self.linear_solver.update(values)
        if loosely:
            self.linear_solver.renew()
        else:
            self.linear_solver.factorize()

    def equilibrate(self, gradient: Array, fluctuation: Array) -> Equilibrium:
        """Solve for the fluctuation; the committed state has to be loaded.

        Args:
            gradient: Macroscopic gradient, shape (m,).
            fluctuation: First guess, shape (n,).

        Raises:
            MicroSolveError: The iteration did not converge.
        """
        point = self.start(gradient, fluctuation)
        while point.error > self.options.tolerance:
            self.linearize()
            point = self.step(gradient, point)
        return point

    def start(self, gradient: Array, fluctuation: Array) -> Equilibrium:
        """The point at which an iteration starts; the committed state has to be loaded.

        Args:
            gradient: Macroscopic gradient, shape (m,).
            fluctuation: First guess, shape (n,).

        Raises:
            MicroSolveError: The residual is not finite, or a phase law failed.
        """
        committed = self.problem.committed[self.problem.layout.gradient]
        point = self._residual_at(gradient, fluctuation, self.measure.forces(gradient, committed))
        self._reached(point, [])
        self._traced(point.norms[-1])
        if not np.isfinite(point.norms[-1]):
            raise MicroSolveError(f"the cell problem has no finite residual to start from, {_norms(point)}")
        return point

    def step(self, gradient: Array, point: Equilibrium) -> Equilibrium:
        """One iteration with the last linearization.

        Raises:
            MicroSolveError: There were too many, or no step lowers the residual.
        """
        if len(point.norms) > self.options.max_iterations:
            scale = max(point.forces[0], point.faces[0]) if self.measure.count == 1 else 1.0
            wanted = self.options.tolerance * scale
            raise MicroSolveError(_not_converged(point, wanted))
        return self._line_search(gradient, point, -self.linear_solver.solve(point.residual))

    def balance(self, nodal: Array) -> Array:
        """Forces on the free fluctuations less those of the constraints, shape (n,), held ones included."""
        forces = self.problem.restrict(nodal)
        if not len(self._constraints):
            return forces
        free = self._constraints if self._held is None else self._constraints * ~self._held
        reactions: Array = self._gram @ (free @ forces)
        balanced: Array = forces - self._constraints.T @ reactions
        return balanced

    def error_of(self, residual: Array, point: Equilibrium) -> float:
        """The largest error of a residual (n,) at a point, that of the last residual evaluated."""
        return max(self._errors(self.measure.free(residual), point))

    def _line_search(self, gradient: Array, start: Equilibrium, direction: Array) -> Equilibrium:
        """Secant search for the zero of direction · residual; a full step that helps is taken."""
        scales, length = self._scales(start), 1.0
        before, slope = _total(start.residuals, scales), self._slope(start, direction, scales)
        failure: MicroSolveError | None = None
        for _ in range(_LINE_SEARCH_TRIALS):
            try:
                trial = self._residual_at(gradient, start.fluctuation + length * direction, start.forces)
            except MicroSolveError as error:
                failure, length = error, 0.5 * length
                continue
            after, new_slope = _total(trial.residuals, scales), self._slope(trial, direction, scales)
            self._traced(after)
            if after <= before or math.hypot(*new_slope) <= _SUFFICIENT_DECREASE * math.hypot(*slope):
                return self._reached(trial, start.norms)
            length *= float(np.clip(_secant(slope, new_slope), 0.1, 0.7))
        raise MicroSolveError(
            "the line search of the cell problem found no step that lowers the residual, " + _norms(start)
        ) from failure

    def _scales(self, start: Equilibrium) -> Numbers:
        """What makes residuals comparable in a step; groups that are in equilibrium already do not count."""
        if self.measure.count == 1:
            return (1.0,)
        return tuple(
            max(force, face, TINY) if error > self.options.tolerance else math.inf
            for force, face, error in zip(start.forces, start.faces, start.errors, strict=True)
        )

    def _slope(self, point: Equilibrium, direction: Array, scales: Numbers) -> Numbers:
        """Works of the residual on a direction, for each group relative to its scale."""
        works = self.measure.works(direction, point.residual)
        return tuple(work / scale for work, scale in zip(works, scales, strict=True))

    def _residual_at(self, gradient: Array, fluctuation: Array, forces: Numbers) -> Equilibrium:
        self.problem.set_field(gradient, fluctuation)
        nodal = self.problem.assemble_residual()
        residual = self.balance(nodal)
        if self._held is not None:
            residual = np.where(self._held, 0.0, residual)
        residuals, faces = self.measure.free(residual), self.measure.nodal(nodal)
        return Equilibrium(fluctuation, nodal, residual, residuals, faces, forces)

    def _reached(self, point: Equilibrium, before: list[float]) -> Equilibrium:
        """A point whose residual was the last, as the next one of an iteration."""
        point.errors = self._errors(point.residuals, point)
        norm = point.residuals[0] if self.measure.count == 1 else math.hypot(*point.errors)
        point.norms = [*before, norm]
        return point

    def _errors(self, residuals: Numbers, point: Equilibrium) -> Numbers:
        return tuple(
            0.0 if norm <= round_off else norm / max(force, face, TINY)
            for norm, round_off, force, face in zip(
                residuals, self.measure.round_off(), point.forces, point.faces, strict=True
            )
        )

    def _traced(self, norm: float) -> None:
        if self.trace is not None:
            self.trace.append(norm)


class WholeCellNewton(CellNewton):
    """Newton's method for a whole cell, with its one matrix and factorization, of one rank or of several."""

    linear_solver: LinearSolver
    measure: ResidualNorms

    def __init__(self, problem: CellProblem, options: NewtonOptions) -> None:
        """Set up matrix and solver, and measure the forces of the virgin cell."""
        if not problem.share.is_whole:
            solver: LinearSolver = DistributedSolver(problem)
        else:
            solver = (ReusedFactorizations if reuses_factorizations(problem) else LinearSolver)(problem)
        problem.load(problem.layout.initial(), 0.0)
        problem.set_field(problem.form.kinematics.origin, np.zeros(problem.boundary.size))
        problem.assemble_residual()
        problem.assemble_stiffness()
        measure = ResidualNorms(problem)
        solver.weights = measure.free_weights
        super().__init__(problem, options, solver, measure)

    def hold(self, held: Mask) -> None:
        """Keep fluctuations as they are from the next linearization on: their columns of T are taken away.

        Args:
            held: Which, shape (n,); replaces what was held before.
        """
        left = self._constraints * ~held
        self._held, self._gram = held, np.linalg.pinv(left @ left.T)
        self.linear_solver.hold(np.concatenate([held, ~np.any(left, axis=1)]))


def _total(residuals: Numbers, scales: Numbers) -> float:
    return math.hypot(*(residual / scale for residual, scale in zip(residuals, scales, strict=True)))


def _secant(before: Numbers, after: Numbers) -> float:
    """Part of a step at which slopes that change linearly come nearest to zero; a half where they do not."""
    change = sum(b * (b - a) for b, a in zip(before, after, strict=True))
    return sum(b * b for b in before) / change if math.isfinite(change) and change else 0.5


def _not_converged(point: Equilibrium, wanted: float) -> str:
    count = len(point.norms) - 1
    return (
        f"the cell problem did not converge in {counted(count, 'iteration')} to {wanted:.2g}, {_norms(point)}"
    )


def _norms(point: Equilibrium) -> str:
    return "residuals " + ", ".join(f"{norm:.2e}" for norm in point.norms[-6:])
