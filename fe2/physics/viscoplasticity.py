"""Norton-Perzyna viscoplasticity and Norton creep, as a point law."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fe2.errors import InputError
from fe2.physics.checks import AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE, check_fields
from fe2.physics.law import Array
from fe2.physics.radial_return import RadialReturnLaw, newton


@dataclass(frozen=True)
class NortonPerzyna(RadialReturnLaw):
    r"""Von Mises viscoplasticity with a power of the overstress.

    .. math::

        \dot p = \dot\varepsilon_0 \left\langle \frac{f}{\sigma_r} \right\rangle^n, \qquad
        f = \sigma_{eq}(\sigma - X) - \sigma_0 - H p

    with the flow direction and the back stress of `J2Plasticity` (Perzyna 1966; Norton 1929 for
    :math:`\sigma_0 = 0`). It tends to plasticity for slow loading, to elasticity for fast loading, and is
    elastic in a step of length zero.

    Attributes:
        young: Young's modulus E.
        poisson: Poisson's ratio.
        yield_stress: Stress :math:`\sigma_0` below which nothing flows; zero for Norton creep.
        reference_rate: Rate :math:`\dot\varepsilon_0` at the overstress :math:`\sigma_r`, one over the
            units of time, positive.
        exponent: n, at least 1.
        reference_stress: :math:`\sigma_r`, positive; the yield stress where None.
        hardening: Isotropic hardening modulus H, not negative.
        kinematic_hardening: Kinematic hardening modulus :math:`H_k`, not negative.
    """

    yield_stress: float
    reference_rate: float
    exponent: float
    reference_stress: float | None = field(default=None, kw_only=True)
    hardening: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(
            self,
            yield_stress=NOT_NEGATIVE,
            reference_rate=POSITIVE,
            exponent=AT_LEAST_ONE,
            hardening=NOT_NEGATIVE,
        )
        if self.reference_stress is not None:
            check_fields(self, reference_stress=POSITIVE)
        elif self.yield_stress == 0.0:
            raise InputError(
                "NortonPerzyna: reference_stress is missing; it must be given and positive "
                "where yield_stress = 0"
            )

    def strength(self, accumulated: Array) -> Array:
        """Equivalent stress up to which nothing flows."""
        return self.yield_stress + self.hardening * accumulated

    def increment(self, overstress: Array, accumulated: Array, dt: float) -> tuple[Array, Array]:
        r"""Backward Euler in the overstress f at the end of the step, from its trial value :math:`f_t`.

        With :math:`h = 3G + H_k + H` and :math:`z = f / f_t` the step reads

        .. math:: z + \kappa z^n = 1, \qquad
            \kappa = \frac{h\,\dot\varepsilon_0 \Delta t}{f_t} \left(\frac{f_t}{\sigma_r}\right)^n

        and both terms are at most 1, so :math:`z_0 = \min(1, \kappa^{-1/n})` bounds z from above. In
        :math:`y = z / z_0` the equation :math:`a y + b y^n = 1` has :math:`a, b \le 1`, one of them 1, and
        its solution in [1/2, 1]: well scaled for every n and :math:`\Delta t`, convex, and solved by
        Newton's method from y = 1 downwards without overshooting. Logarithms keep :math:`\kappa` from
        overflowing.
        """
        modulus, n = self.return_modulus + self.hardening, self.exponent
        reference = self.yield_stress if self.reference_stress is None else self.reference_stress
        with np.errstate(divide="ignore"):  # log 0 = -inf is right where the step has no length
            log_linear = np.log(modulus * self.reference_rate * dt / overstress)
        log_kappa = log_linear + n * np.log(overstress / reference)
        log_bound = np.minimum(0.0, -log_kappa / n)
        a, b = np.exp(log_bound), np.exp(np.minimum(0.0, log_kappa))

        def correction(y: Array) -> Array:
            return (1.0 - a * y - b * y**n) / (a + n * b * y ** (n - 1.0))

        y = newton(correction, np.ones_like(overstress))
        flow = b * y**n
        return overstress * flow / modulus, n * flow / (modulus * (a * y + n * flow))
