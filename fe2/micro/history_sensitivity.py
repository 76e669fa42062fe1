r"""Linearization of a cell's step in all that it depends on: gradient, and history at its beginning.

With the field u, the history h at the beginning of the step and its update :math:`h^+ = f(u, h)`, a
change of the gradient by :math:`\delta g` and of the history by :math:`\delta h` gives

.. math::

    K\,\delta w = -T^T(K_f X\,\delta g + \partial_h r\,\delta h), \qquad \delta u = X\,\delta g + T\,\delta w,

.. math::

    \delta s = \frac{1}{|Y|} X^T(K_f\,\delta u + \partial_h r\,\delta h), \qquad
    \delta h^+ = \partial_u f\,\delta u + \partial_h f\,\delta h.

The derivatives are UFL's: nothing is differenced.
"""

from __future__ import annotations

import numpy as np
import ufl
from dolfinx import fem

from fe2.arrays import Array
from fe2.jit import compile_form
from fe2.micro.form import partial
from fe2.micro.homogenize import linear_change
from fe2.micro.newton import CellNewton
from fe2.quadrature import PointEvaluator, point_dofs


class HistorySensitivity:
    """Carries derivatives with respect to the gradient at the end of an increment through its parts.

    It needs updates that are UFL expressions, so no point laws. Forms are compiled when it is made.
    """

    def __init__(self, newton: CellNewton) -> None:
        """Compile the derivatives of residual and updates."""
        self._newton, form = newton, newton.problem.form
        mesh, degree = newton.problem.cell.mesh, form.quadrature_degree
        self._field = fem.Function(form.unknown.function_space)
        self._changes = [fem.Function(h.value.function_space) for h in form.history]
        self._rows = [point_dofs(h.value, h.cells) for h in form.history]
        residual = ufl.algorithms.expand_derivatives(self._through_history(form.residual))
        self._residual = None if residual.empty() else compile_form(residual, mesh.comm)
        self._vector = fem.create_vector(form.unknown.function_space)
        stored = [ufl.algorithms.expand_derivatives(self._through_history(v.conjugate)) for v in form.values]
        self._stored = [None if q.empty() else compile_form(q, mesh.comm) for q in stored]
        self._steps = [fem.Constant(mesh, 0.0) for _ in form.values]
        self._updates = [PointEvaluator(self._change(h.update), mesh, degree, h.cells) for h in form.history]

    def initial(self) -> list[Array]:
        """No change of the history, for each variable of shape (values, m)."""
        m = self._newton.problem.form.kinematics.size
        history = self._newton.problem.form.history
        return [np.zeros((rows.size * h.components, m)) for rows, h in zip(self._rows, history, strict=True)]

    def advance(self, share: float, changes: list[Array]) -> tuple[Array, Array, list[Array]]:
        """Derivatives at the end of a part whose equilibrium was just found.

        The field and the history at the beginning of the part have to be loaded.

        Args:
            share: Derivative of the gradient at the end of this part.
            changes: Derivatives of the history at its beginning.

        Returns:
            Derivatives of the flux, shape (m, m), of the fluctuation, shape (n, m), and of the new history.
        """
        newton, problem = self._newton, self._newton.problem
        newton.linearize()
        gradients = share * np.eye(problem.form.kinematics.size)
        found = linear_change(newton, problem.forces(gradients) + self._history_forces(changes), gradients)
        if problem.values is not None:
            found.flux[problem.values.components] += self._history_fluxes(changes)
        return found.flux, found.fluctuation, self._new_changes(found.field, gradients, changes)

    def _through_history(self, expression: ufl.core.expr.Expr | ufl.Form) -> ufl.core.expr.Expr | ufl.Form:
        """Derivative of a form or an expression in the direction of the present changes of the history."""
        history = self._newton.problem.form.history
        parts = (ufl.derivative(expression, h.value, d) for h, d in zip(history, self._changes, strict=True))
        return sum(parts, start=next(parts))

    def _change(self, update: ufl.core.expr.Expr) -> ufl.core.expr.Expr:
        """Change of an update with the changes of field, values and history."""
        form = self._newton.problem.form
        change = ufl.derivative(update, form.unknown, self._field) + self._through_history(update)
        for value, step in zip(form.values, self._steps, strict=True):
            change += step * partial(update, value.constant)
        return change

    def _history_fluxes(self, changes: list[Array]) -> Array:
        """Changes of what is conjugate to the values, by the history alone, shape (v, m)."""
        problem, m = self._newton.problem, self._newton.problem.form.kinematics.size
        fluxes = np.zeros((len(self._stored), m))
        for column in range(m):
            self._load(column, changes)
            for row, stored in zip(fluxes, self._stored, strict=True):
                row[column] = 0.0 if stored is None else fem.assemble_scalar(stored)
        return problem.share.sum(fluxes) / problem.cell.volume

    def _load(self, column: int, changes: list[Array]) -> None:
        history = self._newton.problem.form.history
        for h, function, rows, change in zip(history, self._changes, self._rows, changes, strict=True):
            function.x.array.reshape(-1, h.components)[rows] = change[:, column].reshape(-1, h.components)

    def _history_forces(self, changes: list[Array]) -> Array:
        m = self._newton.problem.form.kinematics.size
        forces = np.zeros((len(self._vector.array), m))
        if self._residual is not None:
            for column in range(m):
                self._load(column, changes)
                self._vector.array[:] = 0.0
                fem.assemble_vector(self._vector.array, self._residual)
                forces[:, column] = self._vector.array
        return self._newton.problem.share.sum(forces)

    def _new_changes(self, total: Array, gradients: Array, changes: list[Array]) -> list[Array]:
        result = [np.empty_like(change) for change in changes]
        values = self._newton.problem.form.values
        for column in range(total.shape[1]):
            self._load(column, changes)
            for value, step in zip(values, self._steps, strict=True):
                step.value = gradients[value.component, column]
            self._field.x.array[:] = total[:, column]
            for new, update in zip(result, self._updates, strict=True):
                new[:, column] = update().reshape(-1)
        return result
