r"""Free energies of solutions as functions of the concentrations of their components.

A :class:`FreeEnergy` gives the potentials :math:`\partial f/\partial c_i` and their derivatives for many
points at once. A law asks for no energy beyond that; an energy of one's own derives from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from fe2.arrays import Array

GAS_CONSTANT = 8.31446261815324
"""J/(mol K)."""


class FreeEnergy(ABC):
    """Chemical free energy f of a unit of volume of n components."""

    @abstractmethod
    def potential(self, concentration: Array) -> Array:
        r""":math:`\partial f/\partial c_i`, shape (points, n), of concentrations of that shape."""

    @abstractmethod
    def slope(self, concentration: Array) -> Array:
        r""":math:`\partial^2 f/\partial c_i \partial c_j`, shape (points, n, n), symmetric."""

    def convex_slope(self, concentration: Array) -> Array:
        """A positive definite part of the slope, by which Newton's method is led where it has none itself."""
        return self.slope(concentration)

    def room(self, concentration: Array) -> Array:
        """What has to stay positive, linear in the concentrations, shape (points, m): by default they."""
        return concentration

    @property
    def saturation(self) -> float | None:
        """Largest sum of the concentrations, for messages, or None."""
        return None


@dataclass(frozen=True)
class DiluteSolution(FreeEnergy):
    r"""Ideal and dilute: :math:`\mu_i = R T\,\ln(c_i/c_i^{ref})`.

    Attributes:
        thermal: R T.
        reference: Concentrations at which the potentials are zero, shape (n,).
    """

    thermal: float
    reference: tuple[float, ...]

    def potential(self, concentration: Array) -> Array:
        """See `FreeEnergy.potential`."""
        return self.thermal * np.log(concentration / self.reference)

    def slope(self, concentration: Array) -> Array:
        """See `FreeEnergy.slope`."""
        return _diagonal(self.thermal / concentration)


@dataclass(frozen=True)
class RegularSolution(FreeEnergy):
    r"""Components on the sites of a lattice with vacancies or a host, and interactions of pairs.

    With the shares :math:`x_i = c_i/c_{max}` and that of the host :math:`x_0 = 1 - \sum_i x_i`, up to
    constants that make all potentials zero at the reference

    .. math::

        f = c_{max} \Big( R T \sum_{i=0}^n x_i \ln x_i + \tfrac12 \sum_{i,j=0}^n w_{ij}\,x_i x_j \Big), \qquad
        \mu_i = R T \ln\frac{x_i}{x_0} + \sum_{j=0}^n (w_{ij} - w_{0j})\,x_j.

    Attributes:
        thermal: R T.
        saturation_concentration: Sites in a unit of volume, :math:`c_{max}`.
        reference: Concentrations at which the potentials are zero, shape (n,).
        interactions: w of a mole of pairs, symmetric, the host first, shape (n + 1, n + 1); none by default.
            A single solute with :math:`w_{01} = w` and zeros has :math:`w (1 - 2x)` in its potential.
    """

    thermal: float
    saturation_concentration: float
    reference: tuple[float, ...]
    interactions: tuple[tuple[float, ...], ...] | None = None

    @property
    def saturation(self) -> float:
        """See `FreeEnergy.saturation`."""
        return self.saturation_concentration

    def room(self, concentration: Array) -> Array:
        """Concentrations, and that of the host."""
        host = self.saturation_concentration - concentration.sum(axis=1, keepdims=True)
        return np.concatenate([concentration, host], axis=1)

    def potential(self, concentration: Array) -> Array:
        """See `FreeEnergy.potential`."""
        return self._potential(concentration) - self._potential(np.array([self.reference]))

    def slope(self, concentration: Array) -> Array:
        """See `FreeEnergy.slope`."""
        return self.convex_slope(concentration) + self._pairs / self.saturation_concentration

    def convex_slope(self, concentration: Array) -> Array:
        """That of the ideal solution."""
        host = self.room(concentration)[:, -1]
        return _diagonal(self.thermal / concentration) + (self.thermal / host)[:, None, None]

    def _potential(self, concentration: Array) -> Array:
        shares = self.room(concentration) / self.saturation_concentration
        ideal = self.thermal * np.log(shares[:, :-1] / shares[:, -1:])
        return ideal + shares[:, :-1] @ self._pairs + self._host

    @property
    def _w(self) -> Array:
        n = len(self.reference) + 1
        return np.zeros((n, n)) if self.interactions is None else np.array(self.interactions)

    @property
    def _pairs(self) -> Array:
        """Derivative of the interaction's potentials by the shares, shape (n, n)."""
        w = self._w
        return w[1:, 1:] - w[1:, :1] - w[:1, 1:] + w[0, 0]

    @property
    def _host(self) -> Array:
        """The interaction's potentials in the pure host, shape (n,)."""
        w = self._w
        return w[1:, 0] - w[0, 0]


def _diagonal(values: Array) -> Array:
    """Matrices with these diagonals, shape (points, n) ↦ (points, n, n)."""
    return values[:, :, None] * np.eye(values.shape[1])
