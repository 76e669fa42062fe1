r"""A solid that holds solutes: stress and concentrations from strain and chemical potentials, at many points.

The energy of a unit of volume is that of the solution and that of the elastic strain,

.. math::

    \psi = f(c) + \tfrac12\,(\varepsilon - \varepsilon^0) : C : (\varepsilon - \varepsilon^0), \qquad
    \varepsilon^0 = \sum_i (c_i - c_i^{ref})\,V_i, \qquad C = C_0 + \sum_i (c_i - c_i^{ref})\,C_i,

and at given strain and potentials the concentrations minimize :math:`\psi - \sum_i \mu_i c_i`,

.. math:: \mu_i = \partial_{c_i} f - V_i : \sigma
    + \tfrac12\,(\varepsilon - \varepsilon^0) : C_i : (\varepsilon - \varepsilon^0)

(Larché & Cahn, Acta Metall. 21 (1973), 1051–1063; 33 (1985), 331–357). With :math:`V = \Omega/3\,1` and a
stiffness that is no function of c, :math:`V : \sigma = \Omega\,\sigma_h`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array
from fe2.errors import LocalSolveError
from fe2.physics.free_energy import FreeEnergy
from fe2.physics.law import PointLaw, PointResponse
from fe2.tensors import positions_in_full

_ITERATIONS = 200
_TO_THE_EDGE = 0.99
"""Part of the way to the edge of their range that concentrations go in an iteration."""
_CONVERGED = 1e-9
"""Change relative to the room that is left, after which, at second order, round-off is."""
_SMALLEST = 1e-200
"""Room, relative to the reference, below which logarithms lose their meaning."""


@dataclass(frozen=True)
class Solid:
    """The constants of the elastic part for gradients of k components.

    Attributes:
        stiffness: C₀, shape (k, k).
        swelling: Vᵢ, shape (n, k).
        stiffening: Cᵢ, shape (n, k, k), or None.
        reference: Concentrations at which the strain is free of stress, shape (n,).
    """

    stiffness: Array
    swelling: Array
    stiffening: Array | None
    reference: Array

    def elastic(self, strain: Array, concentration: Array) -> tuple[Array, Array, Array]:
        """Elastic strains, stresses, both (points, k), and their change ∂σ/∂c, shape (points, n, k)."""
        change = concentration - self.reference
        elastic = strain - change @ self.swelling
        if self.stiffening is None:
            by_solute = np.broadcast_to(-self.swelling @ self.stiffness, (len(strain), *self.swelling.shape))
            return elastic, elastic @ self.stiffness, by_solute
        stiffness = self.stiffness_at(concentration)
        by_solute = np.einsum("nij,pj->pni", self.stiffening, elastic)
        by_solute = by_solute - np.einsum("pij,nj->pni", stiffness, self.swelling)
        return elastic, np.einsum("pij,pj->pi", stiffness, elastic), by_solute

    def stiffness_at(self, concentration: Array) -> Array:
        """C, shape (points, k, k) or (k, k)."""
        if self.stiffening is None:
            return self.stiffness
        return self.stiffness + np.einsum("pn,nij->pij", concentration - self.reference, self.stiffening)

    def potential(self, strain: Array, concentration: Array) -> Array:
        """What straining adds to the potentials, shape (points, n)."""
        elastic, stress, _ = self.elastic(strain, concentration)
        found: Array = -stress @ self.swelling.T
        if self.stiffening is not None:
            found = found + 0.5 * np.einsum("pi,nij,pj->pn", elastic, self.stiffening, elastic)
        return found

    def slope(self, strain: Array, concentration: Array) -> Array:
        """Its derivative by the concentrations, shape (points, n, n)."""
        _, _, by_solute = self.elastic(strain, concentration)
        # V·C·V - V·Cⱼ·e, and the change of e in ½ e·Cᵢ·e
        found: Array = -np.einsum("nk,pmk->pnm", self.swelling, by_solute)
        if self.stiffening is not None:
            elastic = strain - (concentration - self.reference) @ self.swelling
            found = found - np.einsum("pi,nij,mj->pnm", elastic, self.stiffening, self.swelling)
        return found


class SolutionLaw(PointLaw):
    """Stress and concentrations of a solid solution; its gradient is a strain, with the potentials behind."""

    symmetric: ClassVar[bool] = False  # what is conducted depends on the strain
    rate_independent: ClassVar[bool] = True

    @property
    @abstractmethod
    def energy(self) -> FreeEnergy:
        """Free energy of the solution."""

    @property
    @abstractmethod
    def solid(self) -> Solid:
        """Its elastic part, of six components."""

    def history(self, size: int) -> dict[str, int]:
        """Concentrations, from which the next step begins to look for its own."""
        return {"local_concentration": len(self.solid.reference)}

    def initial_history(self, size: int) -> dict[str, float | Array]:
        """Those of the reference."""
        return {"local_concentration": self.solid.reference}

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        r"""Stress and concentrations, in the order of strain and potentials.

        With :math:`H = \partial^2_{cc}\psi` and :math:`B = \partial_\varepsilon \partial_c \psi`

        .. math:: d c = H^{-1} (d\mu - B\,d\varepsilon), \qquad d\sigma = C\,d\varepsilon + B^T d c.

        See `PointLaw.respond` for arguments and errors.
        """
        solid = _of_size(self.solid, gradient.shape[1] - len(self.solid.reference))
        size = len(solid.stiffness)
        strain, potential = gradient[:, :size], gradient[:, size:]
        concentration = self._equilibrium(solid, strain, potential, history["local_concentration"])
        _, stress, by_solute = solid.elastic(strain, concentration)
        inverse = np.linalg.inv(self._slope(solid, strain, concentration))
        tangent = np.empty((len(gradient), gradient.shape[1], gradient.shape[1]))
        tangent[:, size:, size:] = inverse
        tangent[:, size:, :size] = -inverse @ by_solute
        tangent[:, :size, size:] = -tangent[:, size:, :size].transpose(0, 2, 1)
        tangent[:, :size, :size] = (
            solid.stiffness_at(concentration) + by_solute.transpose(0, 2, 1) @ (tangent[:, size:, :size])
        )
        return PointResponse(
            np.concatenate([stress, concentration], axis=1), tangent, {"local_concentration": concentration}
        )

    def _slope(self, solid: Solid, strain: Array, concentration: Array) -> Array:
        return self.energy.slope(concentration) + solid.slope(strain, concentration)

    def _equilibrium(self, solid: Solid, strain: Array, potential: Array, start: Array) -> Array:
        """Concentrations at which the potentials are those that are given, by Newton's method at each point.

        Steps end before the edge of the range, and are halved where the energy rises at their end.

        Raises:
            LocalSolveError: Concentrations leave their range, or no equilibrium is stable.
        """
        energy, found, moving = self.energy, start.copy(), np.arange(len(start))

        def excess(points: npt.NDArray[np.int64], concentration: Array) -> Array:
            chemical: Array = energy.potential(concentration) - potential[points]
            return chemical + solid.potential(strain[points], concentration)

        with np.errstate(all="ignore"):  # what is not finite is refused
            for _ in range(_ITERATIONS):
                c = found[moving]
                residual = excess(moving, c)
                step = self._step(solid, strain[moving], c, residual)
                room, change = energy.room(c), _change_of_room(energy, c, step)
                part = np.min(np.where(change < 0.0, -_TO_THE_EDGE * room / change, 1.0), axis=1, initial=1.0)
                descent = np.einsum("pn,pn->p", residual, step)
                small = np.max(np.abs(change) / room, axis=1) <= _CONVERGED
                for _ in range(40):
                    rises = np.einsum("pn,pn->p", excess(moving, c + part[:, None] * step), step)
                    halved = ~small & (rises > 0.9 * np.abs(descent))
                    if not halved.any():
                        break
                    part = np.where(halved, 0.5 * part, part)
                found[moving] = c + part[:, None] * step
                lost = ~np.isfinite(found[moving]).all(axis=1)
                lost |= energy.room(found[moving]).min(axis=1) < _SMALLEST * solid.reference.max()
                if lost.any():
                    found[moving[lost]] = c[lost]
                    raise self._left(found, moving[lost])
                moving = moving[~small]
                if not moving.size:
                    break
        if moving.size:
            raise self._left(found, moving)
        self._check_stable(solid, strain, found)
        return found

    def _step(self, solid: Solid, strain: Array, concentration: Array, residual: Array) -> Array:
        """Newton's step, along the convex part of the energy where the whole is not convex."""
        slope = self._slope(solid, strain, concentration)
        indefinite = ~_definite(slope)
        if indefinite.any():
            convex = self.energy.convex_slope(concentration[indefinite])
            slope[indefinite] = convex + _convex(solid)
        solved: Array = np.linalg.solve(slope, -residual[..., None])[..., 0]
        return solved

    def _check_stable(self, solid: Solid, strain: Array, concentration: Array) -> None:
        points = np.flatnonzero(~_definite(self._slope(solid, strain, concentration)))
        if points.size:
            where = concentration[points[0]]
            raise LocalSolveError(
                f"{type(self).__name__}: the solution is not stable at the concentration {_words(where)}: it "
                "would fall apart into two",
                tuple(points.tolist()),
            )

    def _left(self, concentration: Array, points: npt.NDArray[np.int64]) -> LocalSolveError:
        upper = self.energy.saturation
        bound = "must be positive" if upper is None else f"must lie between 0 and {upper:g}"
        return LocalSolveError(
            f"{type(self).__name__}: concentration = {_words(concentration[points[0]])} leaves its range, it "
            f"{bound}",
            tuple(points.tolist()),
        )


def _of_size(solid: Solid, size: int) -> Solid:
    rows = np.array(positions_in_full(size))
    plane, stiffening = np.ix_(rows, rows), solid.stiffening
    return Solid(
        solid.stiffness[plane],
        solid.swelling[:, rows],
        None if stiffening is None else stiffening[:, rows[:, None], rows],
        solid.reference,
    )


def _convex(solid: Solid) -> Array:
    convex: Array = solid.swelling @ solid.stiffness @ solid.swelling.T
    return convex


def _change_of_room(energy: FreeEnergy, concentration: Array, step: Array) -> Array:
    """Change of the room with a step of the concentrations, which it is linear in."""
    zero = np.zeros((1, concentration.shape[1]))
    return energy.room(step) - energy.room(zero)


def _definite(matrices: Array) -> npt.NDArray[np.bool_]:
    """Whether each matrix (points, n, n) is finite and positive definite."""
    finite = np.isfinite(matrices).all(axis=(1, 2))
    safe = np.where(finite[:, None, None], matrices, np.eye(matrices.shape[1]))
    found: npt.NDArray[np.bool_] = finite & (np.linalg.eigvalsh(safe)[:, 0] > 0.0)
    return found


def _words(values: Array) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
