r"""When conjugate gradients are accurate enough for what they are wanted for: an effective property.

The effective tangent of a fluctuation w with the residual r differs from the exact one by
:math:`r^T K^{-1} r / |Y|`, the square of the error of w in energy, and

.. math:: r^T K^{-1} r \le \frac{r^T K_0^{-1} r}{\lambda},

where λ is the smallest eigenvalue of :math:`K_0^{-1} K` that the residual has a part in. The iteration knows
:math:`r^T K_0^{-1} r`; its own coefficients are those of a Lanczos process, whose tridiagonal matrix has an
eigenvalue that falls towards λ (Meurant & Strakoš, Acta Numerica 15 (2006) 471–542). The estimate is so no
bound, but it is too large rather than too small: little of a residual lies where λ does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh_tridiagonal

from fe2.errors import MicroSolveError

Array = npt.NDArray[np.float64]


_ROUND_OFF = 1e-12
"""Residual that is round-off, in the norm of the Green operator, relative to the cell's own stiffness."""

_SMALL = 1e-6
"""Share of the mean property below which an effective one needs no digits of its own."""


class EnergyError:
    """Coefficients of conjugate gradients for some right-hand sides, and when each of them is done.

    Attributes:
        go_on: Which of them are not done, shape (B,).
        iterations: Iterations of each so far.
        steps: The most of them.
    """

    def __init__(self, energies: Array, tolerance: float, largest: float) -> None:
        """Prepare.

        Args:
            energies: Of the mean field without fluctuations, what the effective property falls from, (B,).
            tolerance: Of the effective property, relative.
            largest: Energy to which round-off is relative: the largest of the mean fields of all load cases.
        """
        self._energies, self._least = energies.copy(), _SMALL * energies
        self._tolerance, self._round_off = tolerance, _ROUND_OFF**2 * largest
        self._lengths: list[Array] = []
        self._ratios: list[Array] = []

    def start(self, products: Array) -> None:
        """Take the squares of the first residuals, shape (B,)."""
        self._products, self._estimates = products, np.where(products > self._round_off, np.inf, 0.0)
        self.go_on, self.iterations, self.steps = products > self._round_off, np.zeros(len(products), int), 0

    def lengths(self, curvatures: Array) -> Array:
        """Lengths of the steps from the energies of the directions; zero where there is nothing to do.

        Raises:
            MicroSolveError: A direction has no positive energy.
        """
        if not np.all(curvatures[self.go_on] > 0.0):
            raise MicroSolveError("the linearized cell problem is not positive definite")
        lengths = np.where(self.go_on, self._products, 0.0) / np.where(self.go_on, curvatures, 1.0)
        self._lengths.append(lengths)
        self._energies -= lengths * self._products
        return lengths

    def advance(self, products: Array) -> Array:
        """Ratios of the squares of new and old residuals; looks at which are done."""
        ratios = np.where(self.go_on, products, 0.0) / np.where(self.go_on, self._products, 1.0)
        self._ratios.append(ratios)
        self.steps += 1
        self.iterations += self.go_on
        for case in np.flatnonzero(self.go_on).tolist():
            self._products[case] = products[case]
            self._estimates[case] = products[case] / self._smallest(case)
        self.go_on = (self.relative > self._tolerance) & (self._products > self._round_off)
        return ratios

    @property
    def relative(self) -> Array:
        """Estimated errors of the effective properties, relative to them."""
        relative: Array = self._estimates / np.maximum(np.maximum(self._energies, self._least), 1e-300)
        return relative

    @property
    def excess(self) -> float:
        """How many times larger than the tolerance the largest error is."""
        return float(self.relative.max() / self._tolerance)

    def _smallest(self, case: int) -> float:
        """Smallest eigenvalue of the Lanczos process of a right-hand side that was advanced at every step."""
        lengths = np.array([values[case] for values in self._lengths])
        ratios = np.array([values[case] for values in self._ratios])[:-1]
        diagonal = 1.0 / lengths
        diagonal[1:] += ratios / lengths[:-1]
        beside = np.sqrt(ratios) / lengths[:-1]
        found = eigh_tridiagonal(diagonal, beside, eigvals_only=True, select="i", select_range=(0, 0))
        return float(found[0])


class RelativeResidualError(EnergyError):
    """Right-hand sides that are done where the residual, in the preconditioner's norm, fell by a factor."""

    def __init__(self, tolerance: float, count: int = 1) -> None:
        """Wait for residuals of `count` right-hand sides that are `tolerance` times the first ones."""
        super().__init__(np.ones(count), tolerance, 0.0)

    def start(self, products: Array) -> None:
        """Take the squares of the first residuals."""
        super().start(products.copy())
        self._first = products

    @property
    def relative(self) -> Array:
        """Residuals relative to the first ones."""
        relative: Array = np.sqrt(np.maximum(self._products, 0.0) / np.maximum(self._first, 1e-300))
        return relative

    def _smallest(self, case: int) -> float:
        return 1.0
