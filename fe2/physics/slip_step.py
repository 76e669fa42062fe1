r"""A time step of crystals that slip: the stress that slip leaves, at many points at once.

Backward Euler leaves a convex problem in the stress. Newton's method on the power law itself would need as
many iterations as its exponent n: systems that flow are linearized at the resolved stress of their present
slip, the others at the slip of their present stress (primal-dual: Steinmetz, Werner, Finckh, Gumbsch &
Riehle, Int. J. Numer. Methods Eng. 117 (2019) 963), so that each iteration costs a system of six equations,
whatever n and the number of systems are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.arrays import Array
from fe2.errors import LocalSolveError
from fe2.physics.slip_systems import SlipSystems

_SHARES = (1 / 16, 1 / 4, 1.0)
"""Of the exponent, one after the other, where a point is not solved at once."""

_MOST_ITERATIONS, _SETTLED = 30, 1e-11
"""The latter is the change of a resolved stress, relative to its resistance, at which a point is solved."""


@dataclass(frozen=True, eq=False)
class SlipStep:
    """A time step of n points, in the axes of their crystals; all arrays have a row for each point.

    Attributes:
        systems: The slip systems.
        compliance: C⁻¹, shape (n, 6, 6).
        trial: Elastic strain where nothing slips, shape (n, 6).
        old: Resistance at the beginning, shape (n, S).
        interaction: q, shape (n, S, S).
        moduli: h, shape (n, S).
        before: Back stress at the beginning, shape (n, S).
        kinematic: Modulus of the back stress, shape (n, 1).
        recovery: Its recovery, likewise.
        most: Slip in the step at a stress that is the resistance, likewise.
        exponent: Of the power law, likewise.
    """

    systems: SlipSystems
    compliance: Array
    trial: Array
    old: Array
    interaction: Array
    moduli: Array
    before: Array
    kinematic: Array
    recovery: Array
    most: Array
    exponent: Array

    def solved(self) -> SlipSolution:
        """Stress and slip of all points.

        Points that the iteration does not settle are solved with a smaller exponent before.

        Raises:
            LocalSolveError: At the points that were not solved.
        """
        wrong = np.flatnonzero(~np.isfinite(self.trial).all(axis=1))
        if wrong.size:
            raise LocalSolveError("CrystalPlasticity: the strain is not finite", tuple(wrong.tolist()))
        found, left = self._from(SlipSolution.nothing(*self.old.shape))
        if left.size:
            part, guess = self._of(left), SlipSolution.nothing(len(left), self.old.shape[1])
            for share in _SHARES:
                exponent = np.maximum(1.0, share * part.exponent)
                guess, still = replace(part, exponent=exponent)._from(guess)
            found.put(left, guess)
            left = left[still]
        if left.size:
            raise LocalSolveError(
                f"CrystalPlasticity: not converged at {len(left)} of {len(self.old)} points",
                tuple(left.tolist()),
            )
        return found

    def _from(self, start: SlipSolution) -> tuple[SlipSolution, npt.NDArray[np.int64]]:
        """The solution from a start, and the points that are not solved."""
        left, part, now, found = np.arange(len(self.old)), self, start, start
        for _ in range(_MOST_ITERATIONS):
            now, change = part._iterated(now)
            found.put(left, now)
            going = ~(change <= _SETTLED)
            if not going.all():
                left, part, now = left[going], part._of(going), now.of(going)
            if not left.size:
                break
        return found, left

    def _iterated(self, before: SlipSolution) -> tuple[SlipSolution, Array]:
        """The solution after an iteration, and how far it was from the point of linearization, shape (n,)."""
        schmid, n = self.systems.schmid, self.exponent
        resistance = self.resistance(before.slip)
        back, growth = self.back_stress(before.slip)
        size, sign = np.abs(before.ratio), np.where(before.ratio < 0.0, -1.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            # from here on the power law is stiffer than the crystal: the slip says where to linearize
            bend = (resistance / (n * self.most * self.stiffness)) ** (1.0 / np.maximum(n - 1.0, 1e-9))
            by_slip = (np.maximum(sign * before.slip, 0.0) / self.most) ** (1.0 / n)
        at = np.where(size <= bend, size, np.maximum(bend, by_slip))
        power = self.most * at ** (n - 1.0)
        slope = n * power / resistance  # of the slip by the resolved stress
        # γ = sign power at + slope (τ - x - sign at g), with the back stress x linear about the present slip
        weakened = 1.0 / (1.0 + slope * growth)
        rest = weakened * (sign * at * (power - slope * resistance) - slope * (back - growth * before.slip))
        effective = slope * weakened
        matrix = self.compliance + (effective @ self.systems.squares).reshape(-1, 6, 6)
        stress = np.linalg.solve(matrix, (self.trial - rest @ schmid)[:, :, None])[:, :, 0]
        resolved = stress @ schmid.T
        slip = rest + effective * resolved
        ratio = (resolved - self.back_stress(slip)[0]) / self.resistance(slip)
        change = np.max(np.abs(ratio - sign * at) / (1.0 + np.abs(ratio)), axis=1)
        return SlipSolution(stress, slip, slope, ratio), change

    def tangent(self, solution: SlipSolution) -> Array:
        """Derivative of the stress by the strain, shape (n, 6, 6)."""
        schmid, flow = self.systems.schmid, solution.slope
        _, growth = self.back_stress(solution.slip)
        if np.any(self.moduli):
            resists = (
                (solution.slip * self.exponent / self.resistance(solution.slip))[:, :, None]
                * self.interaction
                * self.moduli[:, None, :]
            )
            matrix = resists * np.sign(solution.slip)[:, None, :]
            np.einsum("naa->na", matrix)[:] += 1.0 + flow * growth
            inner = schmid.T @ np.linalg.solve(matrix, flow[:, :, None] * schmid)
        else:
            inner = ((flow / (1.0 + flow * growth)) @ self.systems.squares).reshape(-1, 6, 6)
        return np.linalg.inv(self.compliance + inner)

    def resistance(self, slip: Array) -> Array:
        """Resistance after a slip of shape (n, S)."""
        grown = self.moduli * np.abs(slip)
        if not grown.any():
            return self.old
        one = self.interaction[0]
        if self.interaction.strides[0] == 0:  # that of all points
            return self.old + grown @ one.T
        return self.old + (self.interaction @ grown[:, :, None])[:, :, 0]

    def back_stress(self, slip: Array) -> tuple[Array, Array]:
        """Back stress after a slip, by backward Euler, and its derivative by that."""
        if not self.kinematic.any():
            return self.before, np.zeros_like(slip)
        shrink = 1.0 / (1.0 + self.recovery * np.abs(slip))
        stress = (self.before + self.kinematic * slip) * shrink
        return stress, (self.kinematic - self.recovery * stress * np.sign(slip)) * shrink

    @cached_property
    def stiffness(self) -> Array:
        """What a crystal resists slip of a system with, shape (n, S), in the order of magnitude."""
        schmid = self.systems.schmid
        return 0.25 / np.einsum("ai,nij,aj->na", schmid, self.compliance, schmid, optimize=True)

    def _of(self, points: npt.NDArray[Any]) -> SlipStep:
        arrays = {f.name: getattr(self, f.name)[points] for f in fields(self) if f.name != "systems"}
        return SlipStep(systems=self.systems, **arrays)


@dataclass(frozen=True, eq=False)
class SlipSolution:
    """Stress (n, 6); slip in the step, its derivative by the resolved stress τ, and (τ - x)/g (n, S)."""

    stress: Array
    slip: Array
    slope: Array
    ratio: Array

    @classmethod
    def nothing(cls, points: int, systems: int) -> SlipSolution:
        """No stress and no slip."""
        return cls(np.zeros((points, 6)), *np.zeros((3, points, systems)))

    def put(self, points: npt.NDArray[np.int64], part: SlipSolution) -> None:
        """Write the solution of some points."""
        for field in fields(self):
            getattr(self, field.name)[points] = getattr(part, field.name)

    def of(self, points: npt.NDArray[np.bool_]) -> SlipSolution:
        """That of some points."""
        return SlipSolution(*(getattr(self, field.name)[points] for field in fields(self)))
