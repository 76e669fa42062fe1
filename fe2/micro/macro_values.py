r"""Macroscopic values in a cell: parameters c of its form, uniform in it, such as a temperature.

A value moves no field, so it costs no unknown. What it does to the residual r(u, c), and what is conjugate to
it, :math:`\bar q(u, c) = \frac{1}{|Y|}\int q\,\mathrm{d}x`, is differentiated by UFL:

.. math:: R = \partial_c r, \qquad P = \partial_u \bar q, \qquad D = \partial_c \bar q.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import ufl
from dolfinx import fem

from fe2.arrays import Array
from fe2.jit import compile_form
from fe2.micro.element_share import ElementShare
from fe2.micro.form import CellForm


class MacroValues:
    """The v values of a cell's form, with derivatives at the field and the values that are set.

    Attributes:
        components: Where they stand in a gradient, shape (v,).
    """

    def __init__(self, form: CellForm, share: ElementShare, volume: float) -> None:
        """Derive and compile.

        Args:
            form: The form, or this rank's part of it.
            share: The elements of this rank.
            volume: Volume of the whole cell.
        """
        self._values, self._share, self._volume = form.values, share, volume
        self._form = form
        self.components = np.array([value.component for value in form.values], dtype=np.int64)

    def __len__(self) -> int:
        """Number of values."""
        return len(self._values)

    def set(self, gradient: Array) -> None:
        """Set the values that stand in a gradient, shape (m,)."""
        for value in self._values:
            value.constant.value = gradient[value.component]

    def chosen(self, changes: Array) -> Array:
        """Changes of the values in changes of the gradient, shape (m, k) ↦ (v, k)."""
        chosen: Array = changes[self.components]
        return chosen

    def fluxes(self) -> Array:
        """What is conjugate to the values, shape (v,); point laws have to be evaluated."""
        return self._integrals(self._conjugates)

    def forces(self) -> Array:
        """R, shape (N, v)."""
        return self._share.sum(self._vectors(self._forces))

    def flux_change(self, field: Array, values: Array) -> Array:
        """P δu + D δc for changes of shape (N, k) and (v, k): changes of the fluxes, shape (v, k)."""
        gradients = self._share.sum(self._vectors(self._gradients)) / self._volume
        own = self._integrals([form for row in self._own for form in row]).reshape(len(self), len(self))
        change: Array = gradients.T @ field + own @ values
        return change

    @property
    def act_linearly(self) -> bool:
        """Whether their forces are constant: neither field nor values nor the time step change them."""
        return self._are_constant(self._forces_by_value)

    @property
    def is_affine(self) -> bool:
        """Whether all derivatives are constants."""
        own = [form for row in self._own_by_value for form in row]
        return self.act_linearly and self._are_constant(self._gradients_by_field + own)

    def _are_constant(self, forms: list[ufl.Form]) -> bool:
        given, fixed = {v.constant for v in self._values} | {self._form.dt}, set(self._form.parameters)
        return not any(set(f.coefficients()) - fixed or given & {*f.constants()} for f in forms)

    def _integrals(self, forms: list[fem.Form | None]) -> Array:
        sums = [0.0 if form is None else fem.assemble_scalar(form) for form in forms]
        return self._share.sum(np.array(sums)) / self._volume

    def _vectors(self, forms: list[fem.Form | None]) -> Array:
        columns = np.zeros((len(self._form.modes), len(forms)))
        for column, form in zip(columns.T, forms, strict=True):
            if form is not None:
                column[:] = fem.assemble_vector(form).array
        return columns

    def _compiled(self, forms: list[ufl.Form]) -> list[fem.Form | None]:
        """Compiled forms, None in the place of those without integrals."""
        comm = self._form.unknown.function_space.mesh.comm
        return [None if form.empty() else compile_form(form, comm) for form in forms]

    @cached_property
    def _forces_by_value(self) -> list[ufl.Form]:
        form = self._form
        return [form.derivative(form.residual, value.constant) for value in self._values]

    @cached_property
    def _gradients_by_field(self) -> list[ufl.Form]:
        form = self._form
        test = ufl.TestFunction(form.unknown.function_space)
        return [form.derivative(value.conjugate, form.unknown, test) for value in self._values]

    @cached_property
    def _own_by_value(self) -> list[list[ufl.Form]]:
        derivative = self._form.derivative
        return [[derivative(a.conjugate, b.constant) for b in self._values] for a in self._values]

    @cached_property
    def _conjugates(self) -> list[fem.Form | None]:
        return self._compiled([value.conjugate for value in self._values])

    @cached_property
    def _forces(self) -> list[fem.Form | None]:
        return self._compiled(self._forces_by_value)

    @cached_property
    def _gradients(self) -> list[fem.Form | None]:
        return self._compiled(self._gradients_by_field)

    @cached_property
    def _own(self) -> list[list[fem.Form | None]]:
        return [self._compiled(row) for row in self._own_by_value]
