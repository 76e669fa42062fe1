r"""Cells whose unknown has bounds, l ≤ u ≤ h on some of its degrees of freedom: an active set.

Equilibrium is then a complementarity problem. With the forces :math:`f = T^T r` on the free fluctuations w
and any positive scale c of stiffness,

.. math:: \rho(w) = w - \min(\max(w - f/c,\; l),\; h) = 0 :

where w lies between its bounds no force is left, and at a bound the force presses against it. Semismooth
Newton's method on ρ is the primal-dual active set strategy (Hintermüller, Ito & Kunisch, SIAM J. Optim. 13
(2002)): what :math:`w - f/c` takes beyond a bound is set to it and held, its columns of T are taken away, the
rest is solved for; until the set stays. The tangent is that of the cell with the active set held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array, Mask
from fe2.errors import InputError, MicroSolveError
from fe2.micro.cell_solver import CellSolver
from fe2.micro.form import CellForm
from fe2.micro.newton import Equilibrium, WholeCellNewton
from fe2.micro.problem import CellProblem


@dataclass(frozen=True)
class Bounded(CellSolver):
    """Newton's method with the bounds of the form as an active set.

    Attributes:
        max_changes: Changes of the active set after which it is given up.
    """

    holds_bounds = True
    max_changes: int = 50

    def equilibrate(self, newton: WholeCellNewton, gradient: Array, fluctuation: Array) -> Equilibrium:
        """Equilibrium within the bounds; the active set stays held."""
        nothing = np.zeros(len(fluctuation), dtype=bool)
        return equilibrium_within_bounds(newton, gradient, fluctuation, nothing, self.max_changes)


def check_bounds(form: CellForm) -> None:
    """Refuse bounds that do not fit their form.

    Raises:
        InputError: A field is not there or carries macroscopic modes, or values have a wrong shape.
    """
    fields = form.fields()
    for bound in form.bounds:
        if not 0 <= bound.field < len(fields):
            raise InputError(
                f"bounds: the unknown of the cell has no field {bound.field}; it has {len(fields)}, from 0"
            )
        dofs = fields[bound.field][1]
        if np.any(form.modes[dofs]):
            raise InputError(
                f"bounds: field {bound.field} carries macroscopic modes, and the reactions of its bounds "
                "would be missing in the flux; bounds are for fields that live in the cell only"
            )
        for name in ("lower", "upper"):
            given = getattr(bound, name)
            if not callable(given) and np.shape(given) not in ((), dofs.shape):
                raise InputError(
                    f"bounds: {name} of field {bound.field} has shape {np.shape(given)}; it is a number, of "
                    f"shape {dofs.shape}, or a function of the values before"
                )


def limits(problem: CellProblem) -> tuple[Array, Array]:
    """Bounds of the free fluctuations for the committed state that is loaded, each of shape (n,).

    Raises:
        MicroSolveError: They exclude each other.
    """
    free, n = problem.boundary.free, problem.boundary.size
    before = problem.prolong(problem.committed[problem.layout.fluctuation])
    lower, upper = np.full(n, -np.inf), np.full(n, np.inf)
    fields = problem.form.fields()
    for bound in problem.form.bounds:
        dofs = fields[bound.field][1]
        kept = free[dofs] >= 0
        # a fluctuation that several degrees of freedom copy obeys the bounds of all of them
        np.maximum.at(lower, free[dofs[kept]], _values(bound.lower, before[dofs])[kept])
        np.minimum.at(upper, free[dofs[kept]], _values(bound.upper, before[dofs])[kept])
    if not np.all(lower <= upper):
        worst = int(np.argmin(np.nan_to_num(upper - lower, nan=-np.inf)))
        raise MicroSolveError(
            f"the bounds of the cell exclude each other: {lower[worst]:.4g} ≤ u ≤ {upper[worst]:.4g}"
        )
    return lower, upper


def equilibrium_within_bounds(
    newton: WholeCellNewton, gradient: Array, fluctuation: Array, held: Mask, max_changes: int
) -> Equilibrium:
    """Equilibrium within the bounds of the form; the active set stays held.

    Args:
        newton: The cell.
        gradient: Macroscopic gradient, shape (m,).
        fluctuation: First guess, shape (n,).
        held: Fluctuations that stay as they are, bounds or not, shape (n,).
        max_changes: Changes of the active set after which it is given up.

    Raises:
        MicroSolveError: A cell with an active set was not solved, or the set did not settle.
    """
    bounds = limits(newton.problem)
    newton.hold(held)
    point = newton.start(gradient, np.where(held, fluctuation, np.clip(fluctuation, *bounds)))
    scale, iterations = stiffness_scale(newton.problem), 0
    for _ in range(max_changes + 1):
        active, wanted, residual = violations(newton, point, bounds, scale)
        newton.hold(held | active)
        if newton.error_of(np.where(held, 0.0, residual), point) <= newton.options.tolerance:
            point.earlier += iterations
            return point
        iterations += point.iterations
        point = newton.equilibrate(gradient, np.where(active & ~held, wanted, point.fluctuation))
    raise MicroSolveError(
        f"the bounds of the cell did not settle in {max_changes} changes of the active set; "
        f"{active.sum()} of {len(active)} unknowns are at their bounds"
    )


def violations(
    newton: WholeCellNewton, point: Equilibrium, bounds: tuple[Array, Array], scale: Array
) -> tuple[Mask, Array, Array]:
    """The active set, the bounds that are active, and what is left of complementarity, c ρ, each (n,)."""
    (lower, upper), w = bounds, point.fluctuation
    forces = newton.balance(point.nodal)
    pulled = w - forces / scale
    active = (pulled < lower) | (pulled > upper)
    wanted = np.where(pulled < lower, lower, upper)
    return active, wanted, np.where(active, scale * (w - wanted), forces)


def stiffness_scale(problem: CellProblem) -> Array:
    """Diagonal of the stiffness at the field of the last residual, positive, shape (n,)."""
    problem.assemble_stiffness()
    diagonal = np.abs(problem.restrict(problem.stiffness.diagonal()))
    positive: Array = np.where(diagonal > 0.0, diagonal, diagonal.max(initial=1.0))
    return positive


def _values(given: float | Array | Callable[[Array], Array], before: Array) -> Array:
    return np.broadcast_to(given(before) if callable(given) else given, before.shape)
