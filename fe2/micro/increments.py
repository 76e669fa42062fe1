"""An increment of a cell: as a whole, and where that fails in equal parts.

Each part starts from the state that the one before has reached, and the tangent is the derivative of the flux
at the end with respect to the gradient at the end, through all parts. Where a phase has a point law, whose
derivative with respect to its history is not known, or the unknown has bounds, the parts are steps of a
continuation instead: all of them start from the history and take the time step of the whole increment, only
the fluctuation is handed on. The last one is then the whole increment itself, and so is its tangent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from fe2.arrays import Array
from fe2.errors import MicroSolveError
from fe2.micro.history_sensitivity import HistorySensitivity
from fe2.micro.homogenize import homogenized_flux, homogenized_tangent
from fe2.micro.newton import CellNewton, Equilibrium

type Equilibrate = Callable[[Array, Array], Equilibrium]


@dataclass(frozen=True)
class Solved:
    """A cell at the end of an increment.

    Attributes:
        flux: Homogenized flux, shape (m,).
        tangent: Its derivative with respect to the gradient at the end, shape (m, m).
        fluctuation: Free fluctuations, shape (n,).
        sensitivity: Their derivative with respect to the gradient at the end, shape (n, m).
        iterations: Linear systems solved.
    """

    flux: Array
    tangent: Array
    fluctuation: Array
    sensitivity: Array
    iterations: int


class Increments:
    """Takes increments of one cell.

    Attributes:
        splits: Increments that were taken in parts.
    """

    def __init__(self, newton: CellNewton, equilibrate: Equilibrate | None = None) -> None:
        """Use the cell's iteration, or another way to equilibrium, for wholes and parts."""
        self._newton, self._equilibrate = newton, equilibrate or newton.equilibrate
        self._problem, self._layout = newton.problem, newton.problem.layout
        form = newton.problem.form
        # derivatives of point laws by their history are not known, nor those of bounds by what was before
        self._carries_history = bool(form.history) and not form.point_laws and not form.bounds
        self.splits = 0

    def solve(
        self, gradient: Array, state: Array, dt: float, out: Array, guess: Array | None = None
    ) -> Solved:
        """Equilibrium at the end of an increment, in as few parts as are needed.

        Args:
            gradient: Macroscopic gradient at the end, shape (m,).
            state: Committed state; not modified.
            dt: Length of the time step.
            out: Receives the new history.
            guess: First guess of the fluctuation, that of the committed state by default.

        Raises:
            MicroSolveError: Neither the whole nor the parts converged: the error of the whole.
        """
        try:
            return self._whole(gradient, state, dt, out, guess)
        except MicroSolveError as error:
            parts = 2
            while parts <= self._newton.options.parts:
                try:
                    solved = self._parts(parts, gradient, state, dt, out)
                except MicroSolveError:
                    parts *= 2
                    continue
                self.splits += 1
                return solved
            raise error

    def _whole(
        self, gradient: Array, state: Array, dt: float, out: Array, guess: Array | None = None
    ) -> Solved:
        newton = self._newton
        self._problem.load(state, dt)
        found = self._equilibrate(gradient, state[self._layout.fluctuation] if guess is None else guess)
        flux = homogenized_flux(newton, found.nodal)
        self._problem.new_history(out)
        condensed = homogenized_tangent(newton)
        return Solved(flux, condensed.tangent, found.fluctuation, condensed.sensitivity, found.iterations + 1)

    def _parts(self, parts: int, gradient: Array, state: Array, dt: float, out: Array) -> Solved:
        return (self._carried if self._carries_history else self._continued)(parts, gradient, state, dt, out)

    def _carried(self, parts: int, gradient: Array, state: Array, dt: float, out: Array) -> Solved:
        """Parts that start from one another's states, and the derivative through all of them."""
        layout, newton, row, iterations = self._layout, self._newton, state.copy(), 0
        start, changes = state[layout.gradient].copy(), self._sensitivity.initial()
        for part in range(1, parts + 1):
            share = part / parts
            target = start + share * (gradient - start)
            self._problem.load(row, dt / parts)
            found = self._equilibrate(target, row[layout.fluctuation])
            flux = homogenized_flux(newton, found.nodal)
            self._problem.new_history(out)
            tangent, sensitivity, changes = self._sensitivity.advance(share, changes)
            for history in layout.history:
                row[history] = out[history]
            row[layout.gradient], row[layout.fluctuation] = target, found.fluctuation
            iterations += found.iterations + 1
        return Solved(flux, tangent, found.fluctuation, sensitivity, iterations)

    def _continued(self, parts: int, gradient: Array, state: Array, dt: float, out: Array) -> Solved:
        """Equilibria of the whole increment at gradients on the way, each the first guess of the next."""
        guess, iterations = state[self._layout.fluctuation], 0
        start = state[self._layout.gradient]
        self._problem.load(state, dt)
        for part in range(1, parts):
            target = start + part / parts * (gradient - start)
            found = self._equilibrate(target, guess)
            guess, iterations = found.fluctuation, iterations + found.iterations
        solved = self._whole(gradient, state, dt, out, guess)
        return replace(solved, iterations=solved.iterations + iterations)

    @cached_property
    def _sensitivity(self) -> HistorySensitivity:
        return HistorySensitivity(self._newton)
