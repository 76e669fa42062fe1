"""The reduced representative volume element: few modes, few mesh cells, the same phase laws, a micro model.

Its equations and their theory stand in :mod:`fe2.hierarchical.reduced_equations`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from fe2.arrays import Array
from fe2.errors import MicroSolveError
from fe2.hierarchical.basis import Basis
from fe2.hierarchical.cubature import Cubature
from fe2.hierarchical.reduced_equations import ReducedProblem, reduced_newton
from fe2.hierarchical.restriction import restrict
from fe2.hierarchical.trained_range import TrainedRange
from fe2.identity import facts
from fe2.micro.form import HistoryVariable
from fe2.micro.increments import Increments
from fe2.micro.model import Pointwise
from fe2.micro.newton import NewtonOptions
from fe2.micro.points import Point, Step
from fe2.micro.rve import RVE
from fe2.micro.state import StateField
from fe2.physics.kinematics import Kinematics
from fe2.quadrature import point_weights
from fe2.response import Response


class ReducedRVE(Pointwise):
    """A reduced representative volume element, a micro model.

    Its state holds the gradient, the coordinates q of the fluctuation, the history at the mesh cells of the
    cubature, and behind them the last sensitivity ∂q/∂g, with which the next iteration begins.

    Attributes:
        basis: Modes of the fluctuation.
        cubature: Mesh cells and weights.
        trained: The range of gradients and time steps in which it answers.
    """

    def __init__(
        self,
        rve: RVE,
        basis: Basis,
        cubature: Cubature,
        trained: TrainedRange,
        options: NewtonOptions | None = None,
    ) -> None:
        """Put the form on the mesh cells of the cubature.

        Args:
            rve: The whole cell.
            basis: Modes of the fluctuation.
            cubature: Mesh cells and weights.
            trained: The range of gradients and time steps in which it answers.
            options: When the cell counts as solved.

        Raises:
            InputError: The form has integrals over facets.
        """
        self.basis, self.cubature, self.trained = basis, cubature, trained
        self._rve = rve
        self._part = restrict(rve.cell, rve.form, cubature.cells, cubature.weights)
        modes = rve.problem.prolong(basis.modes)[self._part.dofs]
        self._problem = ReducedProblem(self._part.cell, self._part.form, modes)
        self._layout = self._problem.layout
        shape = (basis.size, rve.kinematics.size)
        self.state = self._layout.with_fields([StateField("last sensitivity", shape, lasts=False)])
        self._sensitivity = self.state.part("last sensitivity")
        self._increments = Increments(reduced_newton(self._problem, options or NewtonOptions()))
        self._weights = self._history_weights()
        self._virgin = self.from_full(rve.initial_state())

    @property
    def kinematics(self) -> Kinematics:  # type: ignore[override]
        """Names and sizes of gradient and flux."""
        return self._rve.kinematics

    @property
    def rve(self) -> RVE:
        """The whole cell."""
        return self._rve

    @property
    def unknowns(self) -> int:
        """Number of modes."""
        return self.basis.size

    @property
    def description(self) -> dict[str, Any]:
        """The whole cell and the reduction of its states as facts that can be compared; collective."""
        return {**self._rve.description, "modes": self.basis.size, "cubature": facts(self.cubature.cells)}

    def initial_state(self) -> Array:
        """The virgin state."""
        return self._virgin.copy()

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        """Equilibrium of the reduced cell at the end of a time step, with the consistent tangent.

        See `Pointwise.respond` for the arguments.

        Raises:
            OutsideRangeError: The gradient or the time step lies outside of what was trained.
            MicroSolveError: No equilibrium was found, or a phase law failed.
        """
        start = time.perf_counter()
        self.trained.check(gradient, step.dt)
        layout = self._layout
        guess = self._predicted(gradient, committed)
        solved = self._increments.solve(gradient, committed, step.dt, trial, guess)
        if not (np.all(np.isfinite(solved.flux)) and np.all(np.isfinite(solved.tangent))):
            raise MicroSolveError("the reduced cell gave a flux or a tangent that is not finite")
        trial[layout.gradient], trial[layout.fluctuation] = gradient, solved.fluctuation
        trial[self._sensitivity] = solved.sensitivity.reshape(-1)
        return Response(solved.flux, solved.tangent, solved.iterations, time.perf_counter() - start)

    def averages(self, states: Array) -> dict[str, Array]:
        """Volume averages of the history variables by the cubature, for states (n, state_size)."""
        result: dict[str, Array] = {}
        for (variable, values), weights in zip(self._problem.history_of(states), self._weights, strict=True):
            if variable.internal:
                continue
            average = np.einsum("q,nqc->nc", weights, values) / self._part.cell.volume
            result[variable.name] = result.get(variable.name, 0.0) + average
        return result

    def history_of(self, states: Array) -> Iterator[tuple[HistoryVariable, Array]]:
        """History variables of states at the mesh cells of the cubature, as `CellProblem.history_of`."""
        return self._problem.history_of(states)

    def from_full(self, state: Array) -> Array:
        """The state of the reduced cell that a state of the whole cell leads to.

        The fluctuation is projected in the norm of the virgin stiffness; the history at the mesh cells of the
        cubature is kept as it is.
        """
        problem, layout = self._rve.problem, self._layout
        row = np.zeros(self.state_size)
        row[layout.gradient] = state[problem.layout.gradient]
        row[layout.fluctuation] = self.basis.dual.T @ state[problem.layout.fluctuation]
        pairs = zip(
            problem.history_of(state[None, : problem.layout.lasting_size]),
            self._part.form.history,
            layout.history,
            strict=True,
        )
        for (variable, values), twin, part in pairs:
            places = np.searchsorted(variable.cells, self._part.parents[twin.cells])
            row[part] = values[0].reshape(len(variable.cells), -1)[places].reshape(-1)
        return row

    def fluctuation(self, state: Array) -> Array:
        """Free fluctuations of the whole cell, shape (n,), as the modes give them."""
        full: Array = self.basis.modes @ state[self._layout.fluctuation]
        return full

    def _predicted(self, gradient: Array, last: Array) -> Array:
        """Coordinates of the fluctuation that the last solution and its sensitivity ∂q/∂g predict."""
        layout = self._layout
        sensitivity = last[self._sensitivity].reshape(self.basis.size, -1)
        predicted: Array = last[layout.fluctuation] + sensitivity @ (gradient - last[layout.gradient])
        return predicted

    def _history_weights(self) -> list[Array]:
        form, mesh = self._part.form, self._part.cell.mesh
        weights = self.cubature.weights[np.searchsorted(self.cubature.cells, self._part.parents)]
        result = []
        for variable in form.history:
            volumes = point_weights(mesh, form.quadrature_degree, variable.cells)
            result.append(
                (volumes.reshape(len(variable.cells), -1) * weights[variable.cells, None]).reshape(-1)
            )
        return result
