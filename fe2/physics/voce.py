"""Rate-independent J2 plasticity with saturating (Voce) hardening, as a point law."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fe2.physics.checks import NOT_NEGATIVE, POSITIVE, check_fields
from fe2.physics.law import Array
from fe2.physics.radial_return import RadialReturnLaw, newton


@dataclass(frozen=True)
class VocePlasticity(RadialReturnLaw):
    r"""Von Mises plasticity with Voce and linear isotropic and linear kinematic hardening.

    As `J2Plasticity`, with the yield stress (Voce 1955)

    .. math:: \sigma_y(p) = \sigma_0 + H p + Q \left(1 - e^{-b p}\right)

    Attributes:
        young: Young's modulus E.
        poisson: Poisson's ratio.
        yield_stress: Initial yield stress :math:`\sigma_0`, positive.
        saturation_stress: What the yield stress gains by saturation, Q, not negative.
        saturation_rate: Rate b of saturation, not negative, dimensionless.
        hardening: Linear isotropic hardening modulus H, not negative.
        kinematic_hardening: Kinematic hardening modulus :math:`H_k`, not negative.
    """

    rate_independent: ClassVar[bool] = True

    yield_stress: float
    saturation_stress: float
    saturation_rate: float
    hardening: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(
            self,
            yield_stress=POSITIVE,
            saturation_stress=NOT_NEGATIVE,
            saturation_rate=NOT_NEGATIVE,
            hardening=NOT_NEGATIVE,
        )

    def strength(self, accumulated: Array) -> Array:
        r"""Yield stress :math:`\sigma_y(p)`."""
        saturation = -np.expm1(-self.saturation_rate * accumulated)
        return self.yield_stress + self.hardening * accumulated + self.saturation_stress * saturation

    def increment(self, overstress: Array, accumulated: Array, dt: float) -> tuple[Array, Array]:
        r"""Solve :math:`h\,\Delta p + Q e^{-b p_n} (1 - e^{-b \Delta p}) = f`, with :math:`h = 3G + H_k + H`.

        The left side increases and is concave, so Newton's method increases monotonically to the
        solution from any lower bound of it. Two bounds are known: the exponential is at most its tangent
        at zero, and at most its limit.
        """
        rate, modulus = self.saturation_rate, self.return_modulus + self.hardening
        remaining = self.saturation_stress * np.exp(-rate * accumulated)

        def slope(increment: Array) -> Array:
            return modulus + rate * remaining * np.exp(-rate * increment)

        def correction(increment: Array) -> Array:
            resistance = modulus * increment - remaining * np.expm1(-rate * increment)
            return (overstress - resistance) / slope(increment)

        start = np.maximum(overstress / slope(np.zeros_like(overstress)), (overstress - remaining) / modulus)
        solution = newton(correction, start)
        return solution, 1.0 / slope(solution)
