r"""Proper orthogonal decomposition of fluctuations in the norm of the virgin cell's stiffness.

With the stiffness :math:`K = T^T K_f T` of the virgin cell, the r modes :math:`\Phi` minimize the error of
the snapshots W in the norm :math:`\|w\|_K^2 = w^T K w`, and :math:`\Phi^T K \Phi = 1` (Sirovich 1987;
Kunisch & Volkwein, Numer. Math. 90 (2001)). The error that is left out is
:math:`\sum_{i>r} \sigma_i^2`.

Energies of displacements and of a temperature add up to nothing: each group of fields has modes and singular
values of its own, relative to the norm of its snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.micro.field_groups import FieldGroup, field_groups
from fe2.micro.problem import CellProblem

_ROUND_OFF = 1e-11
"""Singular values below this part of the largest are round-off and never make a mode."""


@dataclass(frozen=True, eq=False)
class Basis:
    r"""Modes of the fluctuation.

    Attributes:
        modes: Matrix Φ of shape (n, r), free fluctuations, each of one group of fields.
        dual: Matrix KΦ of shape (n, r), with the K of the mode's group: :math:`q = (K\Phi)^T w` are the
            coordinates of a fluctuation.
        singular_values: All singular values of the snapshots, falling; those behind the first r were left
            out. Those of several groups of fields are scaled to the norm of the first.
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
class Group:
    """Fields that are measured together: their free fluctuations, and the components that move them."""

    rows: Ints
    components: Ints


@dataclass(frozen=True, eq=False)
class Virgin:
    """The linearized virgin cell: K (n, n) of the free fluctuations and D = XᵀK_fX (m, m)."""

    stiffness: sp.csr_matrix
    macroscopic: Array
    groups: tuple[Group, ...]

    def size(self, group: Group, gradients: Array | None) -> float:
        """Norm of what gradients (S, m) do in a group without fluctuations."""
        if gradients is None:
            return 0.0
        own, matrix = gradients[:, group.components], self.macroscopic[np.ix_(*[group.components] * 2)]
        return float(np.sqrt(np.abs(np.einsum("ki,ij,kj->k", own, matrix, own)).sum()))


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
    macroscopic += problem.direct(np.eye(len(macroscopic))) * problem.cell.volume
    groups = field_groups(problem, problem.forces(np.eye(form.kinematics.size)))
    return Virgin((T.T @ full @ T).tocsr(), macroscopic, tuple(_group(problem, each) for each in groups))


def _group(problem: CellProblem, group: FieldGroup) -> Group:
    free = problem.boundary.free[group.dofs]
    moved = np.any(problem.form.modes[group.leading] != 0.0, axis=0)
    return Group(np.unique(free[free >= 0]), np.flatnonzero(moved))


def proper_orthogonal_decomposition(
    snapshots: Array,
    virgin: Virgin,
    *,
    tolerance: float,
    limit: int | None = None,
    gradients: Array | None = None,
) -> Basis:
    r"""The fewest modes with which the error of each group of fields is at most `tolerance` in the norm of K.

    Args:
        snapshots: Fluctuations as columns, shape (n, S).
        virgin: The linearized virgin cell, with a symmetric positive definite K in each group.
        tolerance: Bound of :math:`(\sum_{i>r} \sigma_i^2 / \sum_i \sigma_i^2)^{1/2}`.
        limit: Largest number of modes.
        gradients: Gradients of the snapshots, shape (S, m): fluctuations that are round-off of what these do
            alone are none.

    Raises:
        InputError: The matrix is not positive definite, or there is no mode.
    """
    found = []
    for group in virgin.groups:
        stiffness = virgin.stiffness[group.rows][:, group.rows]
        own = _decomposed(snapshots[group.rows], stiffness)
        if own.size > _ROUND_OFF * virgin.size(group, gradients):
            found.append((group.rows, stiffness, own))
    if not found:
        raise InputError(
            "a basis of zero modes: the training left the cell without fluctuations, as a homogeneous cell "
            "does; use the phase's law itself, or train along other paths"
        )
    parts = [own.values / own.size for _, _, own in found]
    values, real = np.concatenate(parts), np.concatenate([part > _ROUND_OFF * part[0] for part in parts])
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.lexsort((-values, ~real))
    squares = np.where(owner[order] == np.arange(len(parts))[:, None], values[order] ** 2, 0.0)
    tails = np.sqrt(np.pad(np.cumsum(squares[:, ::-1], axis=1)[:, ::-1], ((0, 0), (0, 1))))
    wanted, most = int(np.argmax(np.all(tails <= tolerance, axis=0))), int(np.count_nonzero(real))
    count = max(1, min(wanted, most, most if limit is None else limit))
    modes, dual = np.zeros((2, len(snapshots), count))
    for number, (rows, stiffness, own) in enumerate(found):
        columns = np.flatnonzero(owner[order[:count]] == number)
        first = own.orthogonal @ own.coefficients[:, : len(columns)]
        # singular vectors have no sign, and random combinations of their forces choose the cubature
        first *= np.sign(first[np.abs(first).argmax(axis=0), np.arange(len(columns))])
        modes[np.ix_(rows, columns)], dual[np.ix_(rows, columns)] = first, stiffness @ first
    return Basis(modes, dual, found[0][-1].size * values[order])


@dataclass(frozen=True, eq=False)
class _Decomposed:
    """All modes of a group as combinations of orthogonal columns, with their singular values, falling."""

    orthogonal: Array
    coefficients: Array
    values: Array

    @property
    def size(self) -> float:
        return float(np.linalg.norm(self.values))


def _decomposed(snapshots: Array, stiffness: sp.csr_matrix) -> _Decomposed:
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
    return _Decomposed(orthogonal, scipy.linalg.solve_triangular(factor.T, left), singular_values)
