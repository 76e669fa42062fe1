r"""Norms of homogenized fluxes: components that load the same field of the unknown together.

The elastic tangent A makes the components of one field comparable, :math:`\sum_i s_i^2/A_{ii}`. Works of
different fields, as those of stresses and of heat flows, have units of their own and are not added up.
"""

from __future__ import annotations

import numpy as np

from fe2.arrays import Array
from fe2.micro.field_groups import component_groups
from fe2.micro.newton import WholeCellNewton
from fe2.micro.residual_norms import ROUND_OFF, Numbers, vector_length


class FluxNorms:
    """Norms of fluxes, a number for each field with macroscopic modes."""

    def __init__(self, newton: WholeCellNewton, elastic: Array) -> None:
        """Group the components.

        Args:
            newton: The cell.
            elastic: Tangent of the virgin cell, shape (m, m).
        """
        self._newton, self._elastic, form = newton, elastic, newton.problem.form
        diagonal = np.abs(np.diag(elastic))
        self._weights = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        self._groups = component_groups(form)

    def sizes(self, flux: Array) -> Numbers:
        """Norms of a flux, for each field."""
        weighted = self._weights * flux
        if len(self._groups) == 1:
            return (vector_length(weighted),)
        return tuple(vector_length(weighted[group]) for group in self._groups)

    def works(self, gradient: Array, change: Array) -> Numbers:
        """Elastic works of two gradients on each other, for each field."""
        if len(self._groups) == 1:
            return (float(gradient @ self._elastic @ change),)
        blocks = ((group, self._elastic[np.ix_(group, group)]) for group in self._groups)
        return tuple(float(gradient[group] @ block @ change[group]) for group, block in blocks)

    def round_off(self) -> Numbers:
        """Norms that are the round-off of the present field, for each field; zero where there is one."""
        if len(self._groups) == 1:
            return (0.0,)
        problem = self._newton.problem
        magnitudes = np.abs(problem.form.modes).T @ self._newton.measure.summands() / problem.cell.volume
        for value in problem.form.values:
            magnitudes[value.component] = np.abs(self._elastic[value.component]) @ np.abs(problem.gradient)
        if problem.form.direct is not None:
            magnitudes += np.abs(problem.form.direct) @ np.abs(problem.gradient)
        return self.sizes(ROUND_OFF * magnitudes)
