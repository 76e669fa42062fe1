"""The cell problem: residual, stiffness and history for whatever state is loaded.

One object serves all quadrature points of its cell type: a point's state is copied in, the point
is solved, and its new state is copied out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import ufl
from dolfinx import fem, la
from mpi4py import MPI

from fe2.arrays import Array
from fe2.errors import LocalSolveError, MicroSolveError
from fe2.jit import compile_form
from fe2.micro.boundary import BoundaryMap
from fe2.micro.cell import Cell
from fe2.micro.cell_state import CellState
from fe2.micro.element_share import ElementShare, SummedMatrix
from fe2.micro.form import CellForm, Condition, HistoryVariable, PointLawTerm
from fe2.micro.macro_values import MacroValues
from fe2.profile import count, phase
from fe2.quadrature import PointEvaluator, point_dofs
from fe2.unchanged import read_only, unchanged


class _StoredVariable:
    """A history variable with the places of its values in the function and in the state."""

    def __init__(self, variable: HistoryVariable, cell: Cell, degree: int) -> None:
        self.variable = variable
        self.rows = point_dofs(variable.value, variable.cells)
        self.components = variable.components
        shape = len(variable.value.function_space.dofmap.list), self.components
        points = self.rows.size // max(len(variable.cells), 1)
        initial = np.broadcast_to(variable.initial, shape)[variable.cells]
        self.initial: Array = np.repeat(initial, points, axis=0).reshape(-1)
        self._values = variable.value.x.array
        self._places = (self.rows[:, None] * self.components + np.arange(self.components)).reshape(-1)
        self.update = None
        if variable.update is not None:
            self.update = PointEvaluator(variable.update, cell.mesh, degree, variable.cells)

    def load(self, values: Array) -> None:
        """Set the values at the beginning of the step, flat."""
        self._values[self._places] = values


class _PointLaw:
    """A point law with what it needs to fill its flux and tangent."""

    def __init__(self, term: PointLawTerm, cell: Cell, degree: int) -> None:
        self.term = term
        self.gradient = PointEvaluator(term.gradient, cell.mesh, degree, term.cells)
        self.law = term.law_at(self.gradient.points_per_cell)
        self.rows = point_dofs(term.flux, term.cells)
        self.new_history: dict[str, Array] = {}

    def evaluate(self, dt: float) -> None:
        term = self.term
        if not len(term.cells):
            self.new_history = {name: np.zeros((0, h.components)) for name, h in term.history.items()}
            return
        old = {
            name: read_only(h.value.x.array.reshape(-1, h.components)[self.rows])
            for name, h in term.history.items()
        }
        try:
            with unchanged(
                f"the law {type(term.law.materials[0]).__name__}", "the gradients or the committed history"
            ):
                answer = self.law.respond(read_only(self.gradient()), old, dt)
        except LocalSolveError as error:
            names = ", ".join(str(term.cells[p // self.gradient.points_per_cell]) for p in error.points[:3])
            raise MicroSolveError(f"{error} (mesh cells {names} of the cell)") from error
        k = answer.flux.shape[1]
        term.flux.x.array.reshape(-1, k)[self.rows] = answer.flux
        term.tangent.x.array.reshape(-1, k, k)[self.rows] = answer.tangent
        self.new_history = answer.history


class _Condition:
    """A condition with what it needs to look at it."""

    def __init__(self, condition: Condition, cell: Cell, degree: int) -> None:
        self.condition = condition
        self.values = PointEvaluator(condition.values, cell.mesh, degree, condition.cells)

    def check(self) -> None:
        """Raise a MicroSolveError that names the worst mesh cell where something is not positive."""
        values = self.values()
        if not values.size or values.min() > 0.0:
            return
        # a NaN is not positive, and argmin finds it first
        point, number = np.unravel_index(int(np.argmin(values)), values.shape)
        condition = self.condition
        cell = condition.cells[point // self.values.points_per_cell]
        raise MicroSolveError(
            f"{condition.names[number]} = {values[point, number]:.4g} is not positive in phase "
            f"{condition.phase!r}, mesh cell {cell} of the cell"
        )


class CellProblem:
    r"""Assembled residual and stiffness of a cell form for the loaded state.

    Attributes:
        cell: The geometry.
        form: The form.
        boundary: Map from free fluctuations to degrees of freedom.
        layout: Parts of a state.
        values: The macroscopic values of the form, or None where it has none.
        gradient: The macroscopic gradient of the present field, shape (m,).
        committed: The state at the beginning of the step, that of the last :meth:`load`.
        share: The elements that this rank integrates: `form` is restricted to them.
        has_linear_equilibrium: Whether one factorization serves every state.
        is_linear: Whether the flux is linear as well: no history, and what is conjugate to values is affine.
        depends_on_dt: Whether the flux may depend on the time step.
    """

    def __init__(
        self,
        cell: Cell,
        form: CellForm,
        boundary: BoundaryMap,
        share: ElementShare | None = None,
        *,
        linearization: bool = False,
    ) -> None:
        """Compile the form.

        Args:
            cell: The geometry.
            form: The form.
            boundary: Map from free fluctuations to degrees of freedom.
            share: The elements of this rank, all of them by default.
            linearization: Whether the state of a cell that is not linear ends with its linearization.
        """
        self.cell, self.form, self.boundary = cell, form, boundary
        self.share = share or ElementShare(MPI.COMM_SELF, cell.mesh)
        comm = cell.mesh.comm
        jacobian = form.derived_jacobian()
        self._residual_form = compile_form(form.residual, comm)
        self._jacobian_form = compile_form(jacobian, comm)
        self._residual = fem.create_vector(form.unknown.function_space)
        self.gradient = form.kinematics.origin
        self.values = MacroValues(form, self.share, cell.volume) if form.values else None
        degree = form.quadrature_degree
        self._history = [_StoredVariable(variable, cell, degree) for variable in form.history]
        self._point_laws = [_PointLaw(term, cell, degree) for term in form.point_laws]
        self._conditions = [_Condition(condition, cell, degree) for condition in form.conditions]
        # numbers from one on for `restrict`, which collects what is not free at zero
        self._collecting = boundary.free + 1
        self.has_linear_equilibrium = (
            not form.point_laws
            and not form.bounds
            and _is_affine(form, jacobian)
            and (self.values is None or self.values.act_linearly)
        )
        self.is_linear = (
            self.has_linear_equilibrium
            and not form.history
            and not form.conditions
            and (self.values is None or self.values.is_affine)
        )
        conjugates = [constant for value in form.values for constant in value.conjugate.constants()]
        used = [*form.residual.constants(), *jacobian.constants(), *conjugates]
        # what a point law makes of the time step is not known
        self.depends_on_dt = bool(form.point_laws) or form.dt in used
        self.layout = CellState(
            form.kinematics.size,
            boundary.size,
            {f"{h.variable.name} of {h.variable.phase}": h.initial for h in self._history},
            linearization=linearization and not self.has_linear_equilibrium,
        )
        self.committed = self.layout.initial()

    @property
    def stiffness(self) -> sp.bsr_matrix | sp.csr_matrix | SummedMatrix:
        """The matrix K_f over all degrees of freedom; it shares memory with the assembled one."""
        return self.local_stiffness if self.share.is_whole else SummedMatrix(self.local_stiffness, self.share)

    @property
    def local_stiffness(self) -> sp.bsr_matrix | sp.csr_matrix:
        """This rank's part of the matrix K_f."""
        return self._matrix.to_scipy()

    def load(self, state: Array, dt: float) -> None:
        """Copy the history of a state in; the fluctuation is left to :meth:`set_field`."""
        self.form.dt.value, self.committed = dt, state
        for stored, part in zip(self._history, self.layout.history, strict=True):
            stored.load(state[part])

    def set_field(self, gradient: Array, fluctuation: Array) -> None:
        """Set the micro field u = X g + T w, and the values among the gradient."""
        self.gradient = gradient
        if self.values is not None:
            self.values.set(gradient)
        u = self.form.unknown.x.array
        np.dot(self.form.modes, gradient, out=u)
        u += self.prolong(fluctuation)

    def assemble_residual(self) -> Array:
        """Residual r over all degrees of freedom, shape (N,); point laws are evaluated on the way.

        Raises:
            MicroSolveError: A phase law could not be evaluated, or has no meaning for this field.
        """
        count("residuals")
        with self.share.agreed():
            for condition in self._conditions:
                condition.check()
            for law in self._point_laws:
                with phase("point laws"):
                    law.evaluate(float(self.form.dt.value))
            with phase("residual"):
                self._residual.array[:] = 0.0
                fem.assemble_vector(self._residual.array, self._residual_form)
        return self.share.sum(self._residual.array)

    def assemble_stiffness(self) -> Array:
        """Values of the local stiffness at the field of the last residual, in the order of its data."""
        count("assemblies")
        with phase("assembly"):
            self._matrix.set_value(0.0)
            fem.assemble_matrix(self._matrix, self._jacobian_form)
        values: Array = self._matrix.data
        return values

    def flux(self, nodal: Array) -> Array:
        r"""Homogenized flux :math:`X^T r/|Y| + D g` from the nodal residual r, shape (N,); of values too."""
        flux: Array = self.form.modes.T @ nodal / self.cell.volume
        if self.values is not None:
            flux[self.values.components] = self.values.fluxes()
        return flux + self.direct(self.gradient)

    def direct(self, gradients: Array) -> Array | float:
        """What the flux gets from gradients, shape (m,) or (m, k), without any element: D g."""
        return 0.0 if self.form.direct is None else self.form.direct @ gradients

    @property
    def is_self_adjoint(self) -> bool:
        """Whether the tangent follows from the sensitivity alone: a symmetric stiffness, no values."""
        return self.form.symmetric and self.values is None

    def forces(self, gradients: Array) -> Array:
        r"""Forces :math:`K_f X\,\delta g + R\,\delta c` of changes of the gradient of shape (m, k)."""
        forces: Array = self.stiffness @ (self.form.modes @ gradients)
        if self.values is not None:
            forces += self.values.forces() @ self.values.chosen(gradients)
        return forces

    def flux_change(self, forces: Array, field: Array, gradients: Array) -> Array:
        r"""Change of the flux, shape (m, k): :math:`X^T \delta r/|Y| + D\,\delta g`, and that of values.

        Args:
            forces: Change of the nodal residual, shape (N, k).
            field: Change of the micro field, shape (N, k).
            gradients: Change of the gradient, shape (m, k).
        """
        change: Array = self.form.modes.T @ forces / self.cell.volume
        if self.values is not None:
            change[self.values.components] = self.values.flux_change(field, self.values.chosen(gradients))
        return change + self.direct(gradients)

    @cached_property
    def _matrix(self) -> la.MatrixCSR:
        return fem.create_matrix(self._jacobian_form)

    def restrict(self, nodal: Array) -> Array:
        """Tᵀ applied to one vector (N,) or to columns (N, m)."""
        if nodal.ndim == 1:
            return self._collected(nodal)
        return np.column_stack([self._collected(column) for column in nodal.T])

    def prolong(self, fluctuation: Array) -> Array:
        """T applied to one fluctuation (n,) or to columns (n, m)."""
        # a number of -1 takes the zero at the end
        padded = np.concatenate([fluctuation, np.zeros((1, *fluctuation.shape[1:]))])
        nodal: Array = padded[self.boundary.free]
        return nodal

    def _collected(self, nodal: Array) -> Array:
        collected: Array = np.bincount(self._collecting, nodal, minlength=self.boundary.size + 1)
        return collected[1:]

    def new_history(self, out: Array) -> None:
        """Write the history at the end of the step into the state `out`.

        The field has to be the converged one, and point laws evaluated at it.
        """
        computed = {
            id(law.term.history[n]): v for law in self._point_laws for n, v in law.new_history.items()
        }
        with self.share.agreed(), phase("history"):
            for stored, part in zip(self._history, self.layout.history, strict=True):
                values = stored.update() if stored.update else computed[id(stored.variable)]
                out[part] = np.asarray(values).reshape(-1)

    def history_of(self, states: Array) -> Iterator[tuple[HistoryVariable, Array]]:
        """History variables of states (n, size), each with its values of shape (n, points, components)."""
        for stored, part in zip(self._history, self.layout.history, strict=True):
            shape = len(states), len(stored.rows), stored.components
            yield stored.variable, states[:, part].reshape(shape)


def _is_affine(form: CellForm, jacobian: ufl.Form) -> bool:
    """True where the residual is the unknown times a constant matrix, plus a constant vector.

    One factorization then serves every state.
    """
    expanded = ufl.algorithms.expand_derivatives(jacobian)
    constants = expanded.constants() + form.residual.constants()
    given = set(form.residual.coefficients()) - {form.unknown}
    changing = (given | set(expanded.coefficients())) - set(form.parameters)
    values = {value.constant for value in form.values}
    return not (changing or form.dt in constants or values & {*expanded.constants()})
