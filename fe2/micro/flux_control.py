r"""Prescribed fluxes of one cell: what they are measured against, and Newton's correction of the gradient.

Every component has a scale of its own, so that fluxes of different kinds and sizes all count, in any units.
With the largest flux :math:`S_j` of each component that was prescribed or reached so far it is

.. math:: f_i = \max_j \frac{|A_{ij}|}{A_{jj}} S_j

where A is the tangent of the virgin cell: the flux that the gradients of the others bring along. A state that
is only being tried never enters: far beyond a limit load its forces are as large as one likes.
"""

from __future__ import annotations

import numpy as np

from fe2.arrays import Array, Mask
from fe2.errors import MicroSolveError
from fe2.physics.kinematics import Kinematics
from fe2.response import Response

_UNHELD = 1e-15
"""Stiffness of a component, relative to the largest, below which nothing holds it."""
_SINGULAR = 1e-12
"""Singular value of a tangent, relative to the largest, below which it is zero."""
_REMOVED = 1e-3
"""Part of a residual that a correction may leave where the tangent is singular."""
_ROUND_OFF = 1e-14
"""Round-off of a flux, relative to the elastic flux of the gradients that the laws see, and to the others."""


class FluxControl:
    """Measures and corrects the fluxes of a cell that is driven.

    Attributes:
        unheld: Components in which the virgin cell has no stiffness, shape (m,).
    """

    def __init__(self, kinematics: Kinematics, virgin: Response) -> None:
        """Take the scales from the response of the virgin cell."""
        self._components = kinematics.components
        self._elastic = np.abs(virgin.tangent)
        stiffness = np.diag(self._elastic)
        largest = np.ones(kinematics.size)
        for part in kinematics.slices.values():  # of one block: no unit is common to several
            largest[part] = float(stiffness[part].max()) or 1.0
        self.unheld: Mask = stiffness <= _UNHELD * largest
        self._size = np.sqrt(np.where(self.unheld, largest, stiffness))
        self._weights = np.where(self.unheld, 0.0, 1.0 / self._size)
        self._coupling = np.maximum(self._elastic, _ROUND_OFF * np.outer(self._size, self._size))
        self._coupling[self.unheld] = np.outer(np.sqrt(largest), self._size)[self.unheld]
        self._coupling /= self._size**2
        self._origin = kinematics.origin
        self._at_rest = kinematics.origin_size + np.abs(kinematics.origin)
        self._largest = np.abs(virgin.flux)

    def reached(self, flux: Array) -> None:
        """A flux was committed, shape (m,)."""
        self._largest = np.maximum(self._largest, np.abs(flux))

    def scale(self, fluxes: Array, gradient: Array) -> tuple[Array, Array]:
        """What fluxes are measured against, and what is round-off, both of shape (m,).

        Args:
            fluxes: Those that are prescribed or expected, shape (m,).
            gradient: The committed gradient, shape (m,).
        """
        sizes = np.maximum(self._largest, np.abs(fluxes))
        round_off = _ROUND_OFF * self._elastic @ (self._at_rest + np.abs(gradient))
        return np.max(self._coupling * sizes, axis=1), round_off

    @staticmethod
    def error(residual: Array, scale: tuple[Array, Array]) -> float:
        """Largest component of a residual, each relative to its scale; zero where it is round-off."""
        against, round_off = scale
        size = np.abs(residual)
        counts = ~(size <= round_off)
        with np.errstate(divide="ignore"):
            return float(np.max(size[counts] / against[counts], initial=0.0))

    def is_negligible(self, change: Array, gradient: Array, tolerance: float) -> bool:
        """Whether a change of the gradient is, beside what differs from a virgin cell, in its energy."""
        load = gradient - self._origin
        sizes = np.linalg.norm(self._size * change), np.linalg.norm(self._size * load)
        return bool(sizes[0] <= tolerance * sizes[1])

    def correction(self, tangent: Array, residual: Array, free: Mask) -> Array:
        """Change of the gradient, shape (m,), that changes the fluxes of its free components by a residual.

        Components that nothing holds stay as they are: no gradient of theirs brings a flux.

        Raises:
            MicroSolveError: The tangent is singular, and the residual cannot be removed.
        """
        weights = self._weights[free]
        matrix = weights[:, None] * tangent[np.ix_(free, free)] * weights
        right = residual[free] / self._size[free]
        if not np.isfinite(matrix).all() or not np.isfinite(right).all():
            raise MicroSolveError("the cell gave a flux or a tangent that is not finite")
        solution, _, rank, _ = np.linalg.lstsq(matrix, right, rcond=_SINGULAR)
        left = np.abs(matrix @ solution - right)
        if rank < len(right) and np.linalg.norm(left) > _REMOVED * np.linalg.norm(right):
            name = np.array(self._components)[free][np.argmax(left)]
            raise MicroSolveError(
                f"the tangent of the components with prescribed flux is singular: no gradient brings {name}"
            )
        correction = np.zeros(len(free))
        correction[free] = weights * solution
        return correction
