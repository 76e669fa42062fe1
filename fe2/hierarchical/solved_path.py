"""One path of the gradient, solved: what a database holds of a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array
from fe2.errors import InputError, MicroSolveError
from fe2.hierarchical.paths import Path
from fe2.micro.points import NOWHERE, Step
from fe2.micro.rve import RVE
from fe2.response import Response

_SMALLEST = 2.0**-6
"""Smallest part of a step that is tried."""


@dataclass(frozen=True, eq=False)
class SolvedPath:
    """A path with the answers of the cell; k steps, those that were cut into parts counting for each part.

    Attributes:
        path: The path as it was asked for.
        steps: Lengths of the time steps, shape (k,).
        gradients: Gradients at their ends, internal components, shape (k, m).
        fluxes: Fluxes, shape (k, m).
        tangents: Consistent tangents, shape (k, m, m); empty where they were not wanted.
        averages: Volume averages of the history variables by name, each of shape (k, c).
        states: Lasting states before the first step and at the end of each, with gradient, fluctuation and
            history, shape (k + 1, lasting_size); empty where they were not wanted.
        failure: Why the path ended early, or nothing.
    """

    path: Path
    steps: Array
    gradients: Array
    fluxes: Array
    tangents: Array
    averages: dict[str, Array]
    states: Array
    failure: str = ""

    @property
    def taken(self) -> Path:
        """The path with the steps that were taken."""
        return Path(np.cumsum(self.steps), self.gradients)


def solve_path(rve: RVE, path: Path, *, states: bool = True, tangents: bool = True) -> SolvedPath:
    """Solve a cell along a path; a step that fails is cut in halves, at most to 1/64.

    Args:
        rve: The cell.
        path: The path.
        states: Whether the states are kept.
        tangents: Whether consistent tangents are wanted. Without them the cell is solved by its own
            strategy, to the same tolerance with fewer factorizations.

    Raises:
        InputError: The path does not fit the cell.
    """
    if path.gradients.shape[1] != rve.kinematics.size:
        raise InputError(
            f"a path has {path.gradients.shape[1]} components; this cell takes {rve.kinematics.size}: "
            f"{', '.join(rve.kinematics.components)}"
        )
    walk = _Walk(rve, tangents)
    for number, (dt, end) in enumerate(zip(path.steps, path.gradients, strict=True)):
        try:
            walk.to(end, dt)
        except MicroSolveError as error:
            return walk.solved(path, states, f"step {number}: {error}")
    return walk.solved(path, states, "")


class _Walk:
    """A cell on its way, and what it went through."""

    def __init__(self, rve: RVE, tangents: bool) -> None:
        self._rve, self._wants_tangents = rve, tangents
        self._row = rve.initial_state()
        self._gradient = rve.kinematics.origin
        self._steps: list[float] = []
        self._gradients: list[Array] = []
        self._fluxes: list[Array] = []
        self._tangents: list[Array] = []
        self._states = [self._row[: rve.lasting_size].copy()]

    def to(self, end: Array, dt: float) -> None:
        """Go on to a gradient in a time dt, in parts where the whole fails."""
        done, part = 0.0, 1.0
        while done < 1.0:
            gradient = self._gradient + (end - self._gradient) * part / (1.0 - done)
            trial = self._row.copy()
            try:
                response = self._step(gradient, part * dt, trial)
            except MicroSolveError:
                part *= 0.5
                if part < _SMALLEST:
                    raise
                continue
            self._row, self._gradient, done = trial, gradient, done + part
            self._steps.append(part * dt)
            self._gradients.append(gradient)
            self._fluxes.append(response.flux.copy())
            if self._wants_tangents:
                self._tangents.append(response.tangent.copy())
            self._states.append(trial[: self._rve.lasting_size].copy())

    def _step(self, gradient: Array, dt: float, trial: Array) -> Response:
        if self._wants_tangents or not self._rve.adaptive:
            return self._rve.solve(gradient, self._row, dt, trial)
        self._rve.respond(gradient, self._row, trial, NOWHERE, Step(dt, wanted="approach"))
        return self._rve.respond(gradient, self._row, trial, NOWHERE, Step(dt, wanted="polish"))

    def solved(self, path: Path, states: bool, failure: str) -> SolvedPath:
        m = self._rve.kinematics.size
        rows = np.array(self._states)
        return SolvedPath(
            path=path,
            steps=np.array(self._steps),
            gradients=np.array(self._gradients).reshape(-1, m),
            fluxes=np.array(self._fluxes).reshape(-1, m),
            tangents=np.array(self._tangents).reshape(-1, m, m),
            averages=self._rve.averages(rows[1:]),
            states=rows if states else rows[:0],
            failure=failure,
        )
