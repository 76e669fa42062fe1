r"""Linear systems of a cell in space: conjugate gradients on factorizations that are there already.

In space a factorization costs some thirty solves, and the matrices of one point in the next iteration, or of
its neighbour, are much alike. So a matrix K is solved, where a few digits are enough, by conjugate gradients
preconditioned by the factorization of another state: that of the virgin cell, or the last one of a cell that
flows, whichever is nearer. All right-hand sides iterate side by side, because reading the factor is what an
iteration costs.

How near a factorization of :math:`K_0` is shows in the diagonals: with the smallest and largest ratio
:math:`K_{ii}/K_{0,ii}`,

.. math:: d = \sqrt{\max_i \frac{K_{ii}}{K_{0,ii}} \Big/ \min_i \frac{K_{ii}}{K_{0,ii}}},

a lower bound of :math:`\sqrt{\operatorname{cond} K_0^{-1}K}`, on which iterations depend linearly. The
factor of proportion is learned from the iterations seen. What an iteration and a factorization cost follows
from the entries of the factor and the operations that make it, as MUMPS counts them: the same run decides the
same way again. Where the prediction, or the iteration itself, exceeds the budget, the matrix is factorized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from petsc4py import PETSc

from fe2.arrays import Array
from fe2.micro.linear_solver import LinearSolver, given_types
from fe2.micro.problem import CellProblem
from fe2.micro.solver_choice import solver_setting
from fe2.profile import count

_STEP, _TANGENT = 1e-3, 1e-4
"""Relative residuals of a Newton step and of sensitivities; the error of a tangent is quadratic in them."""
_BUDGET = 0.7
"""Part of the cost of a factorization that iterations with one matrix may take."""
_OPERATIONS = 15.0
"""Operations of a factorization in the time in which an iteration reads one entry of the factor: see
`benchmarks/reused_factorizations.py`."""
_COLUMN = 0.25
"""What each column adds to an iteration, relative to reading the factor."""
_FEWEST_UNKNOWNS = 1500
"""Below that, a factorization costs hardly more than the solves."""


def reuses_factorizations(problem: CellProblem) -> bool:
    """Whether the matrices of a cell are positive definite, in space, and to be factorized."""
    form = problem.form
    return (
        problem.cell.dim == 3
        and not problem.has_linear_equilibrium
        and problem.boundary.size >= _FEWEST_UNKNOWNS
        and form.is_definite
        and not form.saddle_point
        and not len(problem.boundary.constraints)
        and not solver_setting(problem).iterative
        and not given_types()
    )


@dataclass
class _Factorization:
    """A factorization of one state, with what is known of it as a preconditioner.

    Attributes:
        ksp: Applies it.
        diagonal: Diagonal of the matrix that was factorized.
        rates: Iterations for each unit of distance as last seen, by tolerance.
    """

    ksp: PETSc.KSP
    diagonal: Array = field(default_factory=lambda: np.zeros(0))
    rates: dict[float, float] = field(default_factory=lambda: {_STEP: 3.0, _TANGENT: 4.0})

    def distance(self, diagonal: Array) -> float:
        """Square root of the spread of the ratios of the diagonals, one for the same matrix."""
        if not len(self.diagonal):
            return math.inf  # it failed
        ratios = diagonal / self.diagonal
        smallest = float(ratios.min())
        return math.sqrt(float(ratios.max()) / smallest) if smallest > 0.0 else math.inf

    def iterations(self, distance: float, tolerance: float) -> float:
        """Iterations to be expected for a relative residual."""
        return self.rates[tolerance] * distance

    def learn(self, iterations: int, distance: float, tolerance: float) -> None:
        """Take note of the iterations that a tolerance needed."""
        self.rates[tolerance] = 0.5 * (self.rates[tolerance] + iterations / distance)


class ReusedFactorizations(LinearSolver):
    """Solves exactly after :meth:`factorize`, and to a few digits after :meth:`renew`."""

    def __init__(self, problem: CellProblem) -> None:
        """Create the solver; the first matrix that it factorizes is taken for that of the virgin cell."""
        super().__init__(problem)
        folded = self._folded
        self.choice = replace(
            self.choice, name=f"{self.choice.name}, and conjugate gradients on factorizations of other states"
        )
        rows = np.repeat(np.arange(folded.size), np.diff(folded.indptr))
        self._on_diagonal = np.flatnonzero(rows == folded.indices)
        self._virgin: _Factorization | None = None
        self._recent = _Factorization(self.ksp)
        self._used: _Factorization | None = None
        self._distance = 1.0
        self._columns = problem.form.kinematics.size
        self._factorization_cost = self._reading_cost = math.inf

    def factorize(self) -> None:
        """Factorize the matrix, in the place of the last one that was not the virgin cell's."""
        if self._virgin is None and len(self._recent.diagonal):
            self._virgin = self._recent
            self._virgin.ksp.getPC().setReusePreconditioner(True)
            self.ksp = self._new_ksp()
            self._recent = _Factorization(self.ksp)
        # an error leaves no factorization behind that could be taken for one
        self._recent.diagonal, self._used = np.zeros(0), None
        super().factorize()
        if self._virgin is None:
            self._factorization_cost, self._reading_cost = _costs(self.ksp)
        self._recent.diagonal = self._diagonal()

    def renew(self) -> None:
        """Choose the nearest factorization, or factorize where iterations would take longer."""
        diagonal = self._diagonal()
        if self._virgin is None:
            self.factorize()
            return
        self._used = min(
            (self._recent, self._virgin), key=lambda one: one.iterations(one.distance(diagonal), _TANGENT)
        )
        self._distance = self._used.distance(diagonal)
        expected = self._expected(1, _STEP) + self._expected(self._columns, _TANGENT)
        if not expected <= _BUDGET * self._factorization_cost:
            self.factorize()

    def solve(self, right: Array) -> Array:
        """Solution for one right-hand side, shape (n,)."""
        if self._used is None:
            return super().solve(right)
        return self._iterate(right[:, None], None, _STEP)[:, 0]

    def solve_many(self, right: Array, guess: Array | None = None) -> Array:
        """Solutions for the columns of `right`, shape (n, m)."""
        if self._used is None:
            return super().solve_many(right)
        return self._iterate(right, guess, _TANGENT)

    def _diagonal(self) -> Array:
        values: Array = self._matrix.data[self._on_diagonal]
        return values

    def _expected(self, columns: int, tolerance: float) -> float:
        """Cost to be expected of the iterations for some columns."""
        assert self._used is not None
        return self._iteration_cost(columns) * self._used.iterations(self._distance, tolerance)

    def _iteration_cost(self, columns: int) -> float:
        return self._reading_cost * (1.0 + _COLUMN * columns)

    def _iterate(self, right: Array, guess: Array | None, tolerance: float) -> Array:
        """Conjugate gradients for all columns side by side; a factorization where they take too long."""
        used, columns = self._used, right.shape[1]
        assert used is not None
        solution = np.zeros_like(right) if guess is None else guess.copy()
        residual = right - self._matrix @ solution if guess is not None else right.copy()
        limit = tolerance * np.linalg.norm(right, axis=0)
        direction, before = np.zeros_like(right), np.ones(columns)
        iterations = 0
        while np.any(np.linalg.norm(residual, axis=0) > limit):
            if iterations * self._iteration_cost(columns) > self._factorization_cost:
                count("iterations", iterations * columns)
                used.learn(iterations, self._distance, tolerance)
                self.factorize()
                return super().solve_many(right)
            preconditioned = self._back_substitute(used.ksp, residual)
            product = np.einsum("ij,ij->j", residual, preconditioned)
            direction *= product / before
            direction += preconditioned
            image = self._matrix @ direction
            curvature = np.einsum("ij,ij->j", direction, image)
            length = np.divide(product, curvature, out=np.zeros(columns), where=curvature > 0.0)
            solution += length * direction
            residual -= length * image
            before, iterations = np.where(product > 0.0, product, 1.0), iterations + 1
        if iterations:
            used.learn(iterations, self._distance, tolerance)
            count("iterations", iterations * columns)
        self.residual = residual
        return solution


def _costs(ksp: PETSc.KSP) -> tuple[float, float]:
    """What MUMPS expects a factorization and reading its factor to cost, from the pattern of the matrix."""
    factor = ksp.getPC().getFactorMatrix()
    entries = float(factor.getMumpsInfog(20))
    if entries < 0.0:
        entries *= -1e6  # large numbers are given in millions
    return factor.getMumpsRinfog(1) / _OPERATIONS, entries
