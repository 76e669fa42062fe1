r"""Staggered cells: alternate minimization over groups of the fields of a cell's unknown.

A coupled energy may be convex in each field and not in all of them at once, as that of a displacement and a
damage (Bourdin, Francfort & Marigo, J. Mech. Phys. Solids 48 (2000)). Then

.. math:: w_1 \leftarrow \arg\min_{w_1} E(g, w_1, w_2), \qquad w_2 \leftarrow \arg\min_{w_2} E(g, w_1, w_2),
    \qquad \ldots

each by Newton's method within the bounds of the form, until the residual of all fields together is small.
Every sweep lowers the energy, and costs a factorization for each group at least; near the solution the
error falls by a constant factor in a sweep. The tangent is that of all fields together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array, Mask
from fe2.errors import InputError, MicroSolveError
from fe2.micro.bounded import equilibrium_within_bounds, limits, stiffness_scale, violations
from fe2.micro.cell_solver import CellSolver
from fe2.micro.form import CellForm
from fe2.micro.newton import Equilibrium, WholeCellNewton
from fe2.micro.problem import CellProblem


@dataclass(frozen=True)
class Staggered(CellSolver):
    """Alternate minimization, e.g. ``Staggered(((0,), (1,)))`` for a displacement and a damage.

    Attributes:
        groups: Numbers of the fields of the unknown that are solved for together, in this order; each field
            stands in one group.
        max_sweeps: Sweeps over all groups after which it is given up.
        max_changes: Changes of the active set of bounds after which a group is given up.
    """

    groups: tuple[tuple[int, ...], ...]
    max_sweeps: int = 500
    max_changes: int = 50
    holds_bounds = True

    def check(self, form: CellForm) -> None:
        """Refuse groups that are not made of the fields of the form."""
        given, count = sorted(field for group in self.groups for field in group), len(form.fields())
        if given != list(range(count)):
            raise InputError(
                f"Staggered: groups = {self.groups}; the unknown of the cell has {count} fields, and each of "
                f"{', '.join(map(str, range(count)))} stands in one group"
            )

    def equilibrate(self, newton: WholeCellNewton, gradient: Array, fluctuation: Array) -> Equilibrium:
        """Sweeps over the groups, until the residual of all of them is small."""
        nothing, iterations = np.zeros(len(fluctuation), dtype=bool), 0
        for _ in range(self.max_sweeps):
            for others in self._others(newton.problem):
                found = equilibrium_within_bounds(newton, gradient, fluctuation, others, self.max_changes)
                fluctuation, iterations = found.fluctuation, iterations + found.iterations
            newton.hold(nothing)
            point = newton.start(gradient, fluctuation)
            bounds, scale = limits(newton.problem), stiffness_scale(newton.problem)
            active, _, residual = violations(newton, point, bounds, scale)
            if (error := newton.error_of(residual, point)) <= newton.options.tolerance:
                newton.hold(active)
                point.earlier = iterations
                return point
        raise MicroSolveError(
            f"the staggered iteration of the cell did not converge in {self.max_sweeps} sweeps: the "
            f"residual of all fields is {error:.2e} of the forces"
        )

    def _others(self, problem: CellProblem) -> list[Mask]:
        """For each group the free fluctuations that are not in it."""
        fields, free = [dofs for _, dofs in problem.form.fields()], problem.boundary.free
        masks = []
        for group in self.groups:
            mine = free[np.concatenate([fields[field] for field in group])]
            masks.append(~np.isin(np.arange(problem.boundary.size), mine))
        return masks
