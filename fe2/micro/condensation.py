r"""Homogenization as algebra on the assembled cell problem: flux and consistent tangent.

With the nodal residual r and the stiffness :math:`K_f` over all degrees of freedom, the
macroscopic modes X and the free fluctuations T,

.. math::

    s = \frac{1}{|Y|} X^T r, \qquad
    A = \frac{1}{|Y|} X^T K_f (X + T S), \qquad
    S = -(T^T K_f T)^{-1} T^T K_f X,

which is the Schur complement of the linearized cell problem (Miehe & Koch, Arch. Appl. Mech. 72
(2002), eq. 33): one factorization and one right-hand side for each gradient component.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fe2.micro.newton import CellNewton
from fe2.profile import phase

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Condensed:
    """Tangent A of shape (m, m) and sensitivity S = ∂w/∂g of shape (n, m)."""

    tangent: Array
    sensitivity: Array


def homogenized_flux(newton: CellNewton, nodal: Array) -> Array:
    r"""Volume average of the flux, :math:`X^T r/|Y|`, from the nodal residual r of shape (N,)."""
    flux: Array = newton.problem.form.modes.T @ nodal / newton.problem.cell.volume
    return flux


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
    problem = newton.problem
    modes = problem.form.modes
    stiffness = problem.stiffness
    forces = stiffness @ modes
    right = problem.restrict(forces)
    sensitivity = -newton.linear_solver.solve_many(right, None if guess is None else -guess)
    if problem.form.symmetric:
        tangent = modes.T @ forces + right.T @ sensitivity
        # with L + KS, which a solve to a few digits leaves, the error of A is quadratic
        if (left := newton.linear_solver.residual) is not None:
            tangent += sensitivity.T @ left
    else:
        tangent = modes.T @ (stiffness @ (modes + problem.prolong(sensitivity)))
    return Condensed(tangent / problem.cell.volume, sensitivity)


def flux_correction(newton: CellNewton, residual: Array, sensitivity: Array) -> Array:
    r"""Change of the flux on the way that is left to equilibrium, to first order.

    .. math:: -\frac{1}{|Y|} X^T K_f T\,K^{-1} r, \quad\text{which is}\quad \frac{1}{|Y|} S^T r

    where the stiffness is symmetric. What is left after it is of second order.

    Args:
        newton: The cell; its factorization is that of the last linearization.
        residual: Residual r of the free fluctuations, shape (n,).
        sensitivity: Sensitivity S of shape (n, m).
    """
    problem = newton.problem
    if problem.form.symmetric:
        change: Array = sensitivity.T @ residual
    else:
        way = problem.prolong(-newton.linear_solver.solve(residual))
        change = problem.form.modes.T @ (problem.stiffness @ way)
    return change / problem.cell.volume
