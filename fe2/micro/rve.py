"""The representative volume element: cell, form and boundary condition as something that can be solved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.arrays import Array, Ints
from fe2.errors import InputError, MicroSolveError
from fe2.grid.options import GridOptions
from fe2.identity import facts, mesh_facts
from fe2.micro.adaptive import AdaptiveIteration
from fe2.micro.boundary import BoundaryCondition, boundary_map
from fe2.micro.bounded import Bounded, check_bounds
from fe2.micro.breakdown import breakdowns
from fe2.micro.cell import Cell
from fe2.micro.cell_solver import Adaptive, CellSolver, Newton
from fe2.micro.cell_state import CellState
from fe2.micro.effective import EffectiveProperties, effective_properties
from fe2.micro.element_share import ElementShare
from fe2.micro.fields import LocalFields, local_fields
from fe2.micro.form import CellForm
from fe2.micro.increments import Increments, Solved
from fe2.micro.linear_model import LinearModel
from fe2.micro.material_test import MaterialPath, MaterialTest, material_test
from fe2.micro.memory_estimate import check_cell_memory
from fe2.micro.model import MicroModel, Pointwise
from fe2.micro.newton import NewtonOptions, WholeCellNewton, with_database
from fe2.micro.points import Point, Points, Step
from fe2.micro.problem import CellProblem
from fe2.micro.spectrum import Spectrum, spectrum
from fe2.physics.kinematics import Kinematics
from fe2.profile import count, phase
from fe2.quadrature import point_weights, quadrature_points
from fe2.records import SolverChoice
from fe2.response import Answers, Response


class RVE(Pointwise):
    """A representative volume element, a micro model.

    One object holds the mesh, the compiled forms, the matrix and its factorization. It has no
    state of its own: a state is a flat array that holds the gradient, the free fluctuations and
    the history variables, so one object serves every quadrature point of its kind.

    Attributes:
        cell: The geometry.
        form: The cell's form and its macroscopic modes.
        progress: Told what is being done where homogenization takes long, or None.
    """

    progress: Callable[[str], None] | None = None
    _whole: RVE | None = None

    def __init__(
        self,
        cell: Cell,
        form: CellForm,
        *,
        boundary: str | BoundaryCondition = "periodic",
        options: NewtonOptions | None = None,
        ranks: MPI.Comm = MPI.COMM_SELF,
    ) -> None:
        """Build the solver; collective over `ranks`.

        Args:
            cell: The geometry.
            form: The cell's form; the factories of the built-in physics make one from phase laws.
            boundary: "periodic", "linear" or "uniform_flux", or a condition of one's own.
            options: When the cell counts as solved, and the strategy on the way there.
            ranks: Ranks that solve the cell together. Each integrates a part of its elements.

        Raises:
            InputError: The boundary condition is not known, the cell is not periodic, or the form is none for
                its solver.
        """
        self._options, self._boundary, self.ranks = with_database(options), boundary, ranks
        self._share = ElementShare(ranks, cell.mesh)
        self.cell, self.form = cell, self._share.form(form)
        self._solver = _chosen(self._options, form)
        self._solver.check(form)
        check_bounds(form)
        self._problem = CellProblem(
            cell,
            self.form,
            boundary_map(boundary, cell, form),
            self._share,
            linearization=self._solver.keeps_linearization,
        )
        self._layout = self._problem.layout

    @property
    def kinematics(self) -> Kinematics:  # type: ignore[override]
        """Names and sizes of gradient and flux."""
        return self.form.kinematics

    @property
    def problem(self) -> CellProblem:
        """The discretized cell problem; whatever state is loaded in it."""
        return self._problem

    @property
    def boundary(self) -> str:
        """Name of the boundary condition."""
        return self._problem.boundary.name

    @property
    def boundary_condition(self) -> str | BoundaryCondition:
        """The boundary condition, as it was given."""
        return self._boundary

    @property
    def unknowns(self) -> int:
        """Number of free fluctuations."""
        return self._problem.boundary.size

    @property
    def solver(self) -> SolverChoice:
        """How linear systems are solved, and why so."""
        return self._newton.linear_solver.choice

    @property
    def solver_iterations(self) -> tuple[int, ...]:
        """Iterations of the last tangent's load cases; none where the solver is direct."""
        return self._newton.linear_solver.iterations

    @property
    def splits(self) -> int:
        """Increments so far that failed as a whole and were taken in parts."""
        increments = vars(self).get("_increments")  # not made before it is needed
        return 0 if increments is None else int(increments.splits)

    @property
    def state(self) -> CellState:  # type: ignore[override]
        """Gradient, free fluctuations and history, and the last linearization where it is kept."""
        return self._layout

    @cached_property
    def description(self) -> dict[str, Any]:
        """Cell, form, laws and boundary condition as facts that can be stored and compared; collective."""
        form = self.form
        changing = [form.dt, *(value.constant for value in form.values)]
        constants = [facts(c.value) for c in form.residual.constants() if c not in changing]
        return {
            "kinematics": self.kinematics.name,
            "boundary": self.boundary,
            "element": str(form.unknown.function_space.ufl_element()),
            "quadrature_degree": form.quadrature_degree,
            "phases": list(self.cell.names),
            "laws": facts(form.laws),
            "constants": constants,
            "cell": mesh_facts(self.cell.mesh, self.cell.phases),
            **({} if form.direct is None else {"direct": facts(form.direct)}),
        }

    def initial_state(self) -> Array:
        """The virgin state: no gradient, no fluctuation, and the history with which the laws begin.

        Where the kinematics has a gradient of virgin cells, the state at it after a step without length.
        """
        return self._initial_state.copy()

    @property
    def adaptive(self) -> bool:
        """Whether the cell keeps a linearization in its state, and starts from it."""
        return self._layout.tail is not None

    def choices(self) -> dict[str, str]:
        """How the cell is solved, and why."""
        if self._problem.has_linear_equilibrium:
            strategy = "one factorization: the cell is linear"
        elif self.adaptive:
            strategy = "adaptive: the cell is not linear, and newton was not asked for"
        else:
            why = "the form brings it" if self._solver is self.form.solver else "asked for"
            strategy = f"{self._solver.name}: {why}"
        solver = self._newton.linear_solver.choice
        return {"strategy of cells": strategy, "linear solver of cells": f"{solver.name}: {solver.reason}"}

    def respond(self, gradient: Array, committed: Array, trial: Array, point: Point, step: Step) -> Response:
        """Equilibrium of the cell at the end of a time step, with the consistent tangent.

        An approach that fails is solved exactly, from the committed state. See `Pointwise.respond` for the
        arguments.

        Raises:
            InputError: The gradient has the wrong size.
            MicroSolveError: No equilibrium was found, or a phase law failed.
        """
        start, tail = time.perf_counter(), self._layout.tail
        state, dt, out, iterations = committed, step.dt, trial, 0
        self._check_gradient(gradient)
        with phase("cell"):
            if self._problem.is_linear:
                return MicroModel.respond(self, gradient, committed, trial, point, step)
            if self._problem.has_linear_equilibrium:
                flux, tangent = self._without_solving(gradient, state, dt, out)
                return Response(flux, tangent, 0, time.perf_counter() - start)
            if tail is None or step.wanted == "exact":
                iterations, flux, tangent = self._solve_exactly(gradient, state, dt, out)
                return Response(flux, tangent, iterations, time.perf_counter() - start)
            if step.wanted == "approach":
                iterations = self._approach(gradient, state, dt, out, step.accuracy)
            elif step.wanted == "anticipate":
                self._adaptive.anticipate(gradient, state, dt, out)
            else:
                iterations = self._adaptive.polish(state, dt, out)
        flux, tangent = out[tail.flux].copy(), tail.tangent(out).copy()
        return Response(flux, tangent, iterations, time.perf_counter() - start)

    @property
    def batch(self) -> int | None:  # type: ignore[override]
        """All points at once where the cell is linear."""
        return None if self.is_linear else 1

    def evaluate(
        self,
        gradients: Array,
        committed: Array,
        trial: Array,
        points: Points,
        step: Step,
        answers: Answers,
    ) -> None:
        """One point after the other, or all of them at once where the cell is linear; see `MicroModel`."""
        if not self._problem.is_linear:
            super().evaluate(gradients, committed, trial, points, step, answers)
            return
        try:
            with phase("cell"), self._agreed(), breakdowns():
                rest = self._linear_response
        except MicroSolveError as error:
            answers.fail(slice(None), error)
            return
        change, fluctuations = gradients - self.kinematics.origin, trial[:, self._layout.fluctuation]
        answers.flux[:], answers.tangent[:] = rest.flux + change @ rest.tangent.T, rest.tangent
        trial[:, self._layout.gradient] = gradients
        np.matmul(change, rest.sensitivity.T, out=fluctuations)
        fluctuations += rest.fluctuation

    def averages(self, states: Array) -> dict[str, Array]:
        r"""Volume averages :math:`\frac1{|Y|}\int h\,\mathrm{d}x` of the history variables over the cell.

        Args:
            states: States, shape (n, state_size).

        Returns:
            By name, shape (n, components); variables of the same name in several phases add up.
        """
        result: dict[str, Array] = {}
        for variable, values in self._problem.history_of(states):
            if variable.internal:
                continue
            weights = self._weights[variable.phase]
            average = self._share.sum(np.einsum("q,nqc->nc", weights, values) / self.cell.volume)
            result[variable.name] = result.get(variable.name, 0.0) + average
        return result

    def homogenize(self, grid: GridOptions | None = None) -> EffectiveProperties:
        """Effective properties of the virgin cell: tangent, bounds, anisotropy and fractions.

        Args:
            grid: How those of a periodic image without a mesh are computed; a mesh is solved on the CPU, as
                exactly as its linear solver does.

        Raises:
            InputError: A GPU is asked for, and this cell needs its mesh.
        """
        if grid is not None and grid.device != "cpu":
            raise InputError(
                f"device = {grid.device!r}: this cell is solved on its mesh, by PETSc; only effective "
                'properties of periodic images of degree 1 are computed on their grid; take device = "cpu"'
            )
        return effective_properties(self)

    def spectrum(self, frequency: npt.ArrayLike, *, held: bool = False) -> Spectrum:
        """Complex tangents of a linear cell in harmonic motion, in which a scalar evens out within the cell.

        A macroscopic gradient of the scalar meets the conductivity of steady states: what its linear field
        stores is of the order of the cell's size.

        Args:
            frequency: Frequencies, cycles in a unit of time, positive, shape (n,).
            held: Prescribe the mean of the scalar by a uniform supply. By default the cell is closed: its
                content does not change, and the mean of the scalar follows. Where nothing but the scalar
                moves, as in conduction, it is held in any case: the cell's tangent is a capacity then.

        Raises:
            InputError: A frequency is not positive, or the cell has contacts or several values.
            MicroSolveError: The cell is singular.
        """
        return spectrum(self, frequency, held=held)

    def drive(self, path: MaterialPath) -> MaterialTest:
        """Material test: response to a path of prescribed gradient and flux components."""
        return material_test(self, path)

    @property
    def period(self) -> Array:
        """Edge lengths of the cell, shape (dim,)."""
        return self.cell.period

    @property
    def is_linear(self) -> bool:
        """Whether one factorization serves every state."""
        return self._problem.is_linear

    def linearized(self, state: Array | None = None) -> LinearModel:
        """Micro model with the constant tangent of this cell at a state, the virgin one by default."""
        state = self.initial_state() if state is None else state
        gradient = state[self._layout.gradient]
        response = self.solve(gradient, state, 0.0, np.empty(self.state_size))
        return LinearModel(self.kinematics, response.tangent, response.flux - response.tangent @ gradient)

    def fields(self, state: Array) -> LocalFields:
        """Local fields of a state: displacement, gradient, flux and history."""
        return local_fields(self._problem, state)

    @property
    def divisible(self) -> bool:
        """Several ranks can solve the cell together."""
        return True

    def distributed(self, comm: MPI.Comm) -> RVE:
        """This rank's part of the same cell, which all ranks of a communicator solve together; collective.

        Every rank integrates a part of the elements, remembers their history, and holds a part of the matrix
        and of its factorization. Nodal vectors and the fluctuation are held by every rank.
        """
        part = RVE(self.cell, self.form, boundary=self._boundary, options=self._options, ranks=comm)
        part._whole = self
        return part

    @property
    def share(self) -> Ints:
        """Which numbers of a whole state this rank holds, shape (state_size,)."""
        whole, layout = self._whole or self, (self._whole or self)._layout
        numbers = np.arange(layout.size)
        history = [
            numbers[part][self._share.of_history(variable, self._points_per_element)]
            for part, variable in zip(layout.history, whole.form.history, strict=True)
        ]
        return np.concatenate([numbers[: layout.fluctuation.stop], *history, numbers[layout.lasting_size :]])

    def sum_over_ranks(self, values: Array) -> Array:
        """Sum of the parts of an integral over the ranks that solve this cell together; collective."""
        return self._share.sum(values)

    @property
    def _points_per_element(self) -> int:
        points, _ = quadrature_points(self.cell.mesh, self.form.quadrature_degree)
        return len(points)

    @cached_property
    def _newton(self) -> WholeCellNewton:
        with self._share.agreed():
            check_cell_memory(self._problem)
        return WholeCellNewton(self._problem, self._options)

    def _approach(self, gradient: Array, state: Array, dt: float, out: Array, accuracy: float) -> int:
        try:
            return self._adaptive.approach(gradient, state, dt, out, accuracy)
        except MicroSolveError:
            count("fallbacks")
            return self._solve_exactly(gradient, state, dt, out)[0]

    def _solve_exactly(
        self, gradient: Array, state: Array, dt: float, out: Array
    ) -> tuple[int, Array, Array]:
        """Equilibrium from the committed state, to the full tolerance, with the consistent tangent."""
        count("solved")
        layout, solved = self._layout, self._increments.solve(gradient, state, dt, out)
        out[layout.gradient], out[layout.fluctuation] = gradient, solved.fluctuation
        if (tail := layout.tail) is not None:
            tail.write(out, solved.flux, 0.0, history_due=False)
            tail.write_tangent(out, solved.tangent, solved.sensitivity, dt)
            tail.write_increment(out, gradient - state[layout.gradient], state)
        if not all(np.all(np.isfinite(values)) for values in (solved.flux, solved.tangent, out)):
            raise MicroSolveError("the cell problem gave a flux, a tangent or a state that is not finite")
        return solved.iterations, solved.flux, solved.tangent

    @cached_property
    def _adaptive(self) -> AdaptiveIteration:
        assert self._layout.tail is not None
        return AdaptiveIteration(self._newton, self._layout.tail, self._initial_state)

    @cached_property
    def _increments(self) -> Increments:
        return Increments(self._newton, partial(self._solver.equilibrate, self._newton))

    def report(self) -> dict[str, float]:
        """Increments so far that were taken in parts, for the summary of a run."""
        return {"increments split": float(self.splits)}

    @contextmanager
    def tracing(self) -> Iterator[list[float]]:
        """Collects the norms of the residuals of all solves inside, in the order of the fields tried."""
        norms: list[float] = []
        self._newton.trace = norms
        try:
            yield norms
        finally:
            self._newton.trace = None

    @cached_property
    def _initial_state(self) -> Array:
        state, origin = self._layout.initial(), self.kinematics.origin
        if np.any(origin) or self.adaptive:
            start = state.copy()
            try:
                self.solve(origin, start, 0.0, state)
            except MicroSolveError:
                if np.any(origin):
                    raise
                return start  # without a linearization; the first load will show what is wrong
            if not np.any(origin):
                state[: self.lasting_size] = start[: self.lasting_size]
        return state

    @cached_property
    def _weights(self) -> dict[str, Array]:
        cells = {variable.phase: variable.cells for variable in self.form.history}
        degree = self.form.quadrature_degree
        return {phase: point_weights(self.cell.mesh, degree, found) for phase, found in cells.items()}

    @cached_property
    def _linear_response(self) -> Solved:
        """The virgin cell, where one factorization serves every state."""
        state = self._layout.initial()
        return self._increments.solve(self.kinematics.origin, state, 0.0, state.copy())

    @cached_property
    def _linear_changes(self) -> tuple[Array, Array]:
        """Derivatives of field and nodal residual with respect to the gradient, each of shape (N, m)."""
        problem, way = self._problem, self._problem.prolong(self._linear_response.sensitivity)
        return problem.form.modes + way, problem.forces(np.eye(way.shape[1])) + problem.stiffness @ way

    def _without_solving(self, gradient: Array, state: Array, dt: float, out: Array) -> tuple[Array, Array]:
        """Flux and tangent where equilibrium is linear, and only what is stored or observed is not."""
        problem, layout, (field, forces) = self._problem, self._layout, self._linear_changes
        rest, change = self._linear_response, gradient - self.kinematics.origin
        out[layout.gradient], out[layout.fluctuation] = gradient, rest.fluctuation + rest.sensitivity @ change
        problem.load(state, dt)
        problem.set_field(gradient, out[layout.fluctuation])
        flux = problem.flux(problem.assemble_residual())
        problem.new_history(out)
        return flux, problem.flux_change(forces, field, np.eye(len(gradient)))

    def _check_gradient(self, gradient: Array) -> None:
        if gradient.shape != (self.kinematics.size,):
            raise InputError(
                f"the {self.kinematics.gradient_name} has shape {gradient.shape}; this RVE takes "
                f"{self.kinematics.size} components: {', '.join(self.kinematics.components)}"
            )
        if not np.isfinite(gradient).all():
            raise MicroSolveError(
                f"the {self.kinematics.gradient_name} handed to the RVE is not finite: {gradient}"
            )


def _chosen(options: NewtonOptions, form: CellForm) -> CellSolver:
    """The solver that a user brings, else that of the form, else the one that is named."""
    given = options.strategy
    if isinstance(given, CellSolver):
        return given
    named = Bounded() if form.bounds else Adaptive() if given == "adaptive" else Newton()
    return form.solver or named
