r"""The idea of homogenization on one page: flux and consistent tangent are algebra on the assembled cell.

The micro field is

.. math:: u = X g + T w,

with the macroscopic gradient g of m components, the modes X, whose columns are fields with one component of
the gradient, and the admissible fluctuations T, which are the boundary condition. Components of g that are
values c, as a temperature, have no mode: they are parameters of the form. With the nodal residual r(u, c),
the stiffness :math:`K_f = \partial_u r` and :math:`R = \partial_c r` over all degrees of freedom,

.. math::

    \text{equilibrium} \quad & T^T r(X g + T w, c) = 0, \\
    \text{flux} \quad & s = \frac{1}{|Y|} X^T r, \qquad \bar q = \frac{1}{|Y|} \int q\,\mathrm{d}x, \\
    \text{sensitivity} \quad & S = \partial_g w = -(T^T K_f T)^{-1}\,T^T F, \qquad F = K_f X + R, \\
    \text{tangent} \quad & A = \frac{1}{|Y|} X^T (F + K_f T S), \qquad
    \partial_g \bar q = P^T (X + T S) + D,

with what is conjugate to the values, q, and its derivatives P and D by field and values. A form may add a
constant matrix to all of that, `CellForm.direct`, which no element answers. The tangent is the
Schur complement of the linearized cell (Miehe & Koch, Arch. Appl. Mech. 72 (2002), eq. 33): one
factorization, and one right-hand side for each component. A field that is short of equilibrium by
:math:`T^T r` has the flux of the equilibrium to first order with the correction
:math:`-X^T K_f T (T^T K_f T)^{-1}\,T^T r/|Y|`.

The strategies, full Newton and the adaptive one, increments in parts, linear, distributed and reduced cells,
differ in when they call what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array
from fe2.micro.newton import CellNewton
from fe2.profile import phase


@dataclass(frozen=True)
class Condensed:
    """Tangent A of shape (m, m) and sensitivity S = ∂w/∂g of shape (n, m)."""

    tangent: Array
    sensitivity: Array


@dataclass(frozen=True)
class LinearChange:
    """Changes of flux (m, k), fluctuation (n, k) and field (N, k) of a linearized cell."""

    flux: Array
    fluctuation: Array
    field: Array


def homogenized_flux(newton: CellNewton, nodal: Array) -> Array:
    """Flux s of shape (m,) from the nodal residual r of shape (N,), which was the last to be assembled."""
    return newton.problem.flux(nodal)


def homogenized_tangent(newton: CellNewton) -> Condensed:
    """Consistent tangent at the equilibrium that was just computed; the factorization is updated.

    Raises:
        MicroSolveError: The linearized cell problem is singular.
    """
    newton.linearize()
    return condensed_tangent(newton)


def condensed_tangent(newton: CellNewton, guess: Array | None = None) -> Condensed:
    """Tangent and sensitivity of the last linearization, whose factorization is there.

    Args:
        newton: The cell.
        guess: Sensitivity of a similar state, shape (n, m).

    Raises:
        MicroSolveError: The linearized cell problem is singular.
    """
    with phase("condensation"):
        return _condensed(newton, guess)


def _condensed(newton: CellNewton, guess: Array | None) -> Condensed:
    problem, unit = newton.problem, np.eye(newton.problem.form.kinematics.size)
    forces = problem.forces(unit)
    if not problem.is_self_adjoint:
        found = linear_change(newton, forces, unit, guess)
        return Condensed(found.flux, found.fluctuation)
    right = problem.restrict(forces)
    sensitivity = _fluctuations(newton, right, guess)
    change = right.T @ sensitivity
    # with F + KS, which a solve to a few digits leaves, the error of A is quadratic
    if (left := newton.linear_solver.residual) is not None:
        change += sensitivity.T @ left
    tangent = problem.flux_change(forces, problem.form.modes, unit)
    return Condensed(tangent + change / problem.cell.volume, sensitivity)


def linear_change(
    newton: CellNewton, forces: Array, gradients: Array, guess: Array | None = None
) -> LinearChange:
    """What k changes of the gradient, shape (m, k), do to the linearized cell, whose factorization is there.

    Args:
        newton: The cell.
        forces: Forces of these changes, and of what else changes with them, shape (N, k).
        gradients: Changes of the gradient.
        guess: Fluctuations of a similar state, shape (n, k).
    """
    problem = newton.problem
    fluctuation = _fluctuations(newton, problem.restrict(forces), guess)
    way = problem.prolong(fluctuation)
    field = problem.form.modes @ gradients + way
    flux = problem.flux_change(forces + problem.stiffness @ way, field, gradients)
    return LinearChange(flux, fluctuation, field)


def _fluctuations(newton: CellNewton, right: Array, guess: Array | None) -> Array:
    """Minus K⁻¹ applied to forces on the free fluctuations."""
    return -newton.linear_solver.solve_many(right, None if guess is None else -guess)


def flux_correction(newton: CellNewton, residual: Array, sensitivity: Array) -> Array:
    r"""Change of the flux on the way that is left to equilibrium, to first order; what is left is of second.

    Where the stiffness is symmetric it is :math:`S^T r/|Y|`.

    Args:
        newton: The cell; its factorization is that of the last linearization.
        residual: Residual r of the free fluctuations, shape (n,).
        sensitivity: Sensitivity S of shape (n, m).
    """
    problem = newton.problem
    if problem.is_self_adjoint:
        change: Array = sensitivity.T @ residual / problem.cell.volume
        return change
    way = problem.prolong(-newton.linear_solver.solve(residual))[:, None]
    nothing = np.zeros((problem.form.kinematics.size, 1))
    return problem.flux_change(problem.stiffness @ way, way, nothing)[:, 0]
