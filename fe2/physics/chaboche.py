r"""Cyclic plasticity of Chaboche's kind: several back stresses that recover, as a point law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import LocalSolveError
from fe2.physics.checks import (
    AT_LEAST_ONE,
    NOT_NEGATIVE,
    POISSON,
    POSITIVE,
    check_fields,
    checked,
    checked_array,
)
from fe2.physics.law import ON_YIELD_SURFACE, PointLaw, PointResponse
from fe2.stiffness import (
    bulk_modulus,
    deviatoric_projector,
    isotropic_eigenvalues,
    shear_modulus,
    volumetric_projector,
)

_MOST_ITERATIONS, _SETTLED = 100, 1e-14


@dataclass(frozen=True, eq=False)
class Chaboche(PointLaw):
    r"""Von Mises plasticity with back stresses of Armstrong and Frederick, Voce hardening, a viscous stress.

    .. math::

        \sigma_{eq}(\sigma - X) \le \sigma_0 + Q (1 - e^{-b p}) + K \dot p^{1/n}, \qquad
        X = \sum_i X_i, \qquad \dot X_i = \tfrac23 C_i\,\dot\varepsilon_p - \gamma_i X_i\,\dot p

    (Chaboche, Int. J. Plasticity 24 (2008) 1642). By backward Euler the flow has the direction of
    :math:`\xi = \mathrm{dev}\,\sigma^{trial} - \sum_i \theta_i X_i`, with
    :math:`\theta_i = 1/(1 + \gamma_i \Delta p)`, and a scalar equation is left (Kobayashi & Ohno, Int. J.
    Numer. Methods Eng. 53 (2002) 2217),

    .. math:: \sqrt{\tfrac32}\,|\xi(\Delta p)| - (3G + \sum_i C_i \theta_i)\,\Delta p
        = \sigma_0 + Q (1 - e^{-b p}) + K (\Delta p/\Delta t)^{1/n}.

    Attributes:
        young: Young's modulus, positive.
        poisson: Poisson's ratio.
        yield_stress: Initial yield stress in uniaxial tension, positive.
        back_stress: Moduli :math:`C_i`, not negative, shape (k,).
        recovery: Recoveries :math:`\gamma_i`, not negative, dimensionless, shape (k,).
        saturation_stress: What the yield stress gains, Q, not negative.
        saturation_rate: b, not negative, dimensionless.
        viscosity: K, a stress times a time to the power 1/n; rate-independent where it is zero.
        exponent: n, at least 1.

    Raises:
        InputError: A parameter is not admissible.
    """

    symmetric: ClassVar[bool] = False

    young: float
    poisson: float
    yield_stress: float
    back_stress: Array
    recovery: Array
    saturation_stress: float = 0.0
    saturation_rate: float = 0.0
    viscosity: float = 0.0
    exponent: float = 1.0

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_fields(
            self,
            young=POSITIVE,
            poisson=POISSON,
            yield_stress=POSITIVE,
            saturation_stress=NOT_NEGATIVE,
            saturation_rate=NOT_NEGATIVE,
            viscosity=NOT_NEGATIVE,
            exponent=AT_LEAST_ONE,
        )
        shape = np.atleast_1d(self.back_stress).shape
        for name in ("back_stress", "recovery"):
            array = checked_array(owner, name, np.atleast_1d(getattr(self, name)), shape)
            for value in array.tolist():
                checked(owner, name, value, NOT_NEGATIVE)
            object.__setattr__(self, name, array)

    def moduli(self) -> tuple[float, ...]:
        """Twice the shear modulus, three times the bulk modulus."""
        return isotropic_eigenvalues(self.young, self.poisson)

    @property
    def isochoric(self) -> bool:
        """Plastic flow keeps the volume."""
        return True

    @property
    def rate_independent(self) -> bool:  # type: ignore[override]
        """Whether there is no viscous stress."""
        return self.viscosity == 0.0

    def history(self, size: int) -> dict[str, int]:
        """Plastic strain in Mandel components, its accumulated equivalent p, and the back stresses."""
        return {
            "plastic_strain": size,
            "equivalent_plastic_strain": 1,
            **dict.fromkeys(self._names(), size),
        }

    def respond(self, gradient: Array, history: Mapping[str, Array], dt: float) -> PointResponse:
        r"""Stress, consistent tangent and new history.

        With :math:`N = \xi/q`, :math:`q = \sqrt{3/2}\,|\xi|`, :math:`Y = \partial_{\Delta p}\,\xi` and the
        slope -D of the scalar equation,

        .. math:: A = C - 6 G^2 \Big(\tfrac{3}{2D}\big(N + \tfrac{\Delta p}{q} (Y - \tfrac32 N (N : Y))\big)
            \otimes N + \tfrac{\Delta p}{q} (P_{dev} - \tfrac32 N \otimes N)\Big).

        See `PointLaw.respond` for arguments and errors.
        """
        size = gradient.shape[1]
        bulk, shear = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        volumetric, deviatoric = volumetric_projector(size), deviatoric_projector(size)
        elastic = gradient - history["plastic_strain"]
        with np.errstate(over="ignore"):  # an infinite stress is refused
            point = _Return(
                law=self,
                return_modulus=3.0 * shear,
                trial=2.0 * shear * (elastic @ deviatoric),
                back=np.array([history[name] for name in self._names()]),
                accumulated=history["equivalent_plastic_strain"][:, 0],
                dt=dt,
            )
            increment = point.increment()
        relative, change = point.relative(increment)
        equivalent = _equivalent(relative)
        scale = np.where(equivalent > 0.0, equivalent, 1.0)
        direction, ratio = relative / scale[:, None], increment / scale
        slope = np.where(increment > 0.0, -point.slope(increment), np.inf)
        turn = change - 1.5 * direction * np.sum(direction * change, axis=1)[:, None]
        along = (1.5 / slope)[:, None] * (direction + ratio[:, None] * turn) - 1.5 * ratio[
            :, None
        ] * direction
        tangent = 3.0 * bulk * volumetric + (2.0 * shear - 6.0 * shear**2 * ratio)[:, None, None] * deviatoric
        flow = 1.5 * increment[:, None] * direction
        return PointResponse(
            flux=3.0 * bulk * (elastic @ volumetric) + point.trial - 2.0 * shear * flow,
            tangent=tangent - 6.0 * shear**2 * along[:, :, None] * direction[:, None, :],
            history={
                "plastic_strain": history["plastic_strain"] + flow,
                "equivalent_plastic_strain": history["equivalent_plastic_strain"] + increment[:, None],
                **dict(zip(self._names(), point.back_stresses(increment, direction), strict=True)),
            },
        )

    def _names(self) -> list[str]:
        return [f"back_stress_{i + 1}" for i in range(len(self.back_stress))]


@dataclass(frozen=True, eq=False)
class _Return:
    """The scalar equation of n points.

    Attributes:
        law: The law.
        return_modulus: 3G.
        trial: Deviator of the trial stress, shape (n, m).
        back: Back stresses at the beginning of the step, shape (k, n, m).
        accumulated: Accumulated plastic strain at the beginning, shape (n,).
        dt: Time step.
    """

    law: Chaboche
    return_modulus: float
    trial: Array
    back: Array
    accumulated: Array
    dt: float

    def increment(self) -> Array:
        """Increment of the equivalent plastic strain, shape (n,).

        Newton's method between bounds, in the power of the increment in which the viscous stress is linear.

        Raises:
            LocalSolveError: At the points that were not solved.
        """
        law, found = self.law, np.zeros(len(self.trial))
        overstress = self.excess(found)
        wrong = np.flatnonzero(~np.isfinite(overstress))
        if wrong.size:
            raise LocalSolveError("Chaboche: the strain is not finite or too large", tuple(wrong.tolist()))
        active = np.flatnonzero(overstress > ON_YIELD_SURFACE * law.yield_stress)
        if not active.size or (self.dt == 0.0 and law.viscosity > 0.0):
            return found
        part = self._of(active)
        power = law.exponent if law.viscosity > 0.0 else 1.0
        most = (_equivalent(part.trial) + sum(_equivalent(back) for back in part.back)) / self.return_modulus
        low, high = np.zeros(len(active)), np.ones(len(active))
        z = np.full(len(active), 0.5)
        for _ in range(_MOST_ITERATIONS):
            increment = most * z**power
            excess, slope = part.excess(increment), part.slope(increment) * power * most * z ** (power - 1.0)
            low, high = np.where(excess > 0.0, z, low), np.where(excess > 0.0, high, z)
            new = z - excess / slope
            new = np.where((new > low) & (new < high), new, 0.5 * (low + high))
            settled = np.abs(new - z) <= _SETTLED * new
            z = new
            if settled.all():
                found[active] = most * z**power
                return found
        raise LocalSolveError("Chaboche: not converged", tuple(active[~settled].tolist()))

    def excess(self, increment: Array) -> Array:
        """Equivalent stress at the end of the step beyond what is borne."""
        law = self.law
        resists = self.return_modulus + law.back_stress @ self._shrink(increment)
        hardened = law.saturation_stress * -np.expm1(-law.saturation_rate * (self.accumulated + increment))
        borne = law.yield_stress + hardened + self._viscous(increment)
        return _equivalent(self.relative(increment)[0]) - resists * increment - borne

    def slope(self, increment: Array) -> Array:
        """Derivative of the excess by the increment."""
        law = self.law
        relative, change = self.relative(increment)
        equivalent = np.maximum(_equivalent(relative), np.finfo(np.float64).tiny)
        turned = 1.5 * np.sum(relative * change, axis=1) / equivalent
        left = np.exp(-law.saturation_rate * (self.accumulated + increment))
        hardens = law.saturation_rate * law.saturation_stress * left
        with np.errstate(divide="ignore", invalid="ignore"):
            viscous = (
                np.asarray(self._viscous(increment)) / (law.exponent * increment) if law.viscosity else 0.0
            )
        resists = self.return_modulus + law.back_stress @ self._shrink(increment) ** 2
        slope: Array = turned - resists - hardens - viscous
        return slope

    def relative(self, increment: Array) -> tuple[Array, Array]:
        """What gives the flow its direction, ξ, and its derivative by the increment, each of shape (n, m)."""
        shrink, recovery = self._shrink(increment), self.law.recovery
        left = self.trial - np.einsum("kn,knm->nm", shrink, self.back)
        return left, np.einsum("k,kn,knm->nm", recovery, shrink**2, self.back)

    def back_stresses(self, increment: Array, direction: Array) -> Array:
        """Those at the end of the step, shape (k, n, m)."""
        grown = self.back + self.law.back_stress[:, None, None] * (increment[:, None] * direction)
        return self._shrink(increment)[:, :, None] * grown

    def _shrink(self, increment: Array) -> Array:
        """θ, shape (k, n)."""
        return 1.0 / (1.0 + np.outer(self.law.recovery, increment))

    def _viscous(self, increment: Array) -> Array:
        law = self.law
        if law.viscosity == 0.0 or self.dt == 0.0:
            return np.zeros_like(increment)
        viscous: Array = law.viscosity * (increment / self.dt) ** (1.0 / law.exponent)
        return viscous

    def _of(self, points: Ints) -> _Return:
        return replace(
            self,
            trial=self.trial[points],
            back=self.back[:, points],
            accumulated=self.accumulated[points],
        )


def _equivalent(stress: Array) -> Array:
    """Equivalent stress of von Mises of deviators, shape (..., m) ↦ (...)."""
    equivalent: Array = np.sqrt(1.5 * np.sum(stress**2, axis=-1))
    return equivalent
