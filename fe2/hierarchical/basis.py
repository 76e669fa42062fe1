r"""Proper orthogonal decomposition of fluctuations in the norm of the virgin cell's stiffness.

With the stiffness :math:`K = T^T K_f T` of the virgin cell, the r modes :math:`\Phi` minimize the error of
the snapshots W in the norm :math:`\|w\|_K^2 = w^T K w`, and :math:`\Phi^T K \Phi = 1` (Sirovich 1987;
Kunisch & Volkwein, Numer. Math. 90 (2001)). The error that is left out is
:math:`\sum_{i>r} \sigma_i^2`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp

from fe2.errors import InputError
from fe2.micro.problem import CellProblem

Array = npt.NDArray[np.float64]

_ROUND_OFF = 1e-11
"""Singular values below this part of the largest are round-off and never make a mode."""


@dataclass(frozen=True, eq=False)
class Basis:
    r"""Modes of the fluctuation.

    Attributes:
        modes: Matrix Φ of shape (n, r), free fluctuations.
        dual: Matrix KΦ of shape (n, r): :math:`q = (K\Phi)^T w` are the coordinates of a fluctuation.
        singular_values: All singular values of the snapshots, falling; those behind the first r were left
            out.
    """

    modes: Array
    dual: Array
    singular_values: Array

    @property
    def size(self) -> int:
        """Number r of modes."""
        return int(self.modes.shape[1])

    @property
    def left_out(self) -> float:
        """Norm of what was left out, relative to that of the snapshots."""
        squares = self.singular_values**2
        return float(np.sqrt(squares[self.size :].sum() / squares.sum()))


@dataclass(frozen=True, eq=False)
class Virgin:
    """The linearized virgin cell: K (n, n) of the free fluctuations and D = XᵀK_fX (m, m)."""

    stiffness: sp.csr_matrix
    macroscopic: Array


def virgin_stiffness(problem: CellProblem, initial: Array) -> Virgin:
    """Stiffness of the virgin cell.

    Args:
        problem: The cell problem; the virgin state is loaded.
        initial: The virgin state.
    """
    form = problem.form
    problem.load(initial, 0.0)
    problem.set_field(initial[problem.layout.gradient], initial[problem.layout.fluctuation])
    problem.assemble_residual()
    problem.assemble_stiffness()
    full = problem.stiffness
    T = problem.boundary.matrix
    macroscopic = form.modes.T @ (full @ form.modes)
    if (values := problem.values) is not None:
        own = values.flux_change(np.zeros((len(form.modes), len(values))), np.eye(len(values)))
        macroscopic[np.ix_(values.components, values.components)] = own * problem.cell.volume
    return Virgin((T.T @ full @ T).tocsr(), macroscopic)


def proper_orthogonal_decomposition(
    snapshots: Array,
    stiffness: sp.csr_matrix,
    *,
    tolerance: float,
    limit: int | None = None,
    scale: float = 0.0,
) -> Basis:
    r"""The fewest modes with which the snapshots' error is at most `tolerance` in the norm of K.

    Args:
        snapshots: Fluctuations as columns, shape (n, S).
        stiffness: Symmetric positive definite matrix K.
        tolerance: Bound of :math:`(\sum_{i>r} \sigma_i^2 / \sum_i \sigma_i^2)^{1/2}`.
        limit: Largest number of modes.
        scale: Energy norm of what the gradients alone do; fluctuations below its round-off are none.

    Raises:
        InputError: The matrix is not positive definite, or there is no mode.
    """
    # an orthogonal factor first: squaring the snapshots would lose half of the digits of small values
    orthogonal, rest = np.linalg.qr(snapshots)
    gram = orthogonal.T @ (stiffness @ orthogonal)
    try:
        factor = np.linalg.cholesky(0.5 * (gram + gram.T))
    except np.linalg.LinAlgError as error:
        raise InputError(
            "the stiffness of the virgin cell is not positive definite, so it has no energy norm in which "
            "modes could be chosen"
        ) from error
    left, singular_values, _ = np.linalg.svd(factor.T @ rest, full_matrices=False)
    squares = singular_values**2
    if not np.sqrt(squares.sum()) > _ROUND_OFF * scale:
        raise InputError(
            "a basis of zero modes: the training left the cell without fluctuations, as a homogeneous cell "
            "does; use the phase's law itself, or train along other paths"
        )
    tails = np.sqrt(np.append(np.cumsum(squares[::-1])[::-1], 0.0) / squares.sum())
    wanted = int(np.argmax(tails <= tolerance))
    real = int(np.count_nonzero(singular_values > _ROUND_OFF * singular_values[0]))
    count = max(1, min(wanted, real, real if limit is None else limit))
    modes = orthogonal @ scipy.linalg.solve_triangular(factor.T, left[:, :count])
    return Basis(modes, stiffness @ modes, singular_values)
