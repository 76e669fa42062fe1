r"""Drucker–Prager plasticity of soils, rock and concrete, as a closed UFL expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, radians, sin
from typing import TYPE_CHECKING

import fe2.lazy_ufl as ufl
from fe2.errors import InputError
from fe2.physics.checks import NOT_NEGATIVE, POISSON, POSITIVE, Admissible, check_fields, checked
from fe2.physics.law import ON_YIELD_SURFACE, ExpressionLaw
from fe2.stiffness import bulk_modulus, isotropic_eigenvalues, shear_modulus

if TYPE_CHECKING:
    from ufl.core.expr import Expr

ANGLE = Admissible("at least 0 and less than 90 degrees", lambda value: 0.0 <= value < 90.0)


@dataclass(frozen=True)
class DruckerPrager(ExpressionLaw):
    r"""A cone in the space of stresses, with a flow of its own and linear hardening.

    .. math::

        q + \eta\,p \le k + H \alpha, \qquad
        \dot\varepsilon_p = \dot\gamma \Big(\tfrac32 \frac{s}{q} + \tfrac13 \bar\eta\, 1\Big), \qquad
        \dot\alpha = \dot\gamma

    with the mean stress p, positive in tension, and the equivalent stress q of von Mises. Backward Euler
    returns to the cone,
    :math:`\Delta\gamma = (q^{tr} + \eta p^{tr} - k - H\alpha_n)/(3G + K\eta\bar\eta + H)`, or, where that
    would leave a negative q, to its apex (de Souza Neto, Perić & Owen, Computational Methods for Plasticity
    (2008), ch. 8.3). Without dilation the apex does not harden.

    Attributes:
        young: Young's modulus, positive.
        poisson: Poisson's ratio.
        friction: Slope :math:`\eta` of the cone, not negative.
        dilation: Slope :math:`\bar\eta` of the flow potential, not negative and not above `friction`.
        strength: Equivalent stress k at which pure shear flows, positive.
        hardening: H, not negative.
    """

    young: float
    poisson: float
    friction: float
    dilation: float
    strength: float
    hardening: float = 0.0

    def __post_init__(self) -> None:
        check_fields(
            self,
            young=POSITIVE,
            poisson=POISSON,
            friction=NOT_NEGATIVE,
            dilation=NOT_NEGATIVE,
            strength=POSITIVE,
            hardening=NOT_NEGATIVE,
        )
        if self.dilation > self.friction:
            raise InputError(
                f"DruckerPrager: dilation = {self.dilation} is not admissible; it must not be above "
                f"friction = {self.friction}: flow would make energy"
            )

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Where flow is associated."""
        return bool(self.dilation == self.friction)

    def moduli(self) -> tuple[float, ...]:
        """Twice the shear modulus, three times the bulk modulus."""
        return isotropic_eigenvalues(self.young, self.poisson)

    @property
    def isochoric(self) -> bool:
        """Flow without dilation keeps the volume, and little of it nearly so."""
        return True

    def history(self, size: int) -> dict[str, int]:
        """Plastic strain in Mandel components, and what hardens, α."""
        return {"plastic_strain": size, "equivalent_plastic_strain": 1}

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Stress."""
        return self._elastic(gradient - self.update(gradient, history, dt)["plastic_strain"])

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        """Plastic strain and α after the return to the cone or to its apex."""
        bulk, shear = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        identity = _identity(gradient)
        trial = self._elastic(gradient - history["plastic_strain"])
        mean = ufl.dot(identity, trial) / 3.0
        deviator = trial - mean * identity
        tiny = 1e-20 * self.strength  # it makes the root differentiable at zero
        equivalent = ufl.sqrt(1.5 * ufl.dot(deviator, deviator) + tiny * tiny)
        hardened, strength = history["equivalent_plastic_strain"], self.strength
        overstress = equivalent + self.friction * mean - strength - self.hardening * hardened
        flows = ufl.gt(overstress, ON_YIELD_SURFACE * self.strength)
        cone = overstress / (3.0 * shear + bulk * self.friction * self.dilation + self.hardening)
        beyond = ufl.And(flows, ufl.gt(3.0 * shear * cone, equivalent))
        dilates, slopes = ufl.gt(self.dilation, 0.0), ufl.gt(self.friction, 0.0)
        dilation, slope = (
            ufl.conditional(dilates, self.dilation, 1.0),
            ufl.conditional(slopes, self.friction, 1.0),
        )
        rise = ufl.conditional(dilates, self.hardening / dilation, 0.0)
        volume = (slope * mean - strength - self.hardening * hardened) / (slope * bulk + rise)
        gamma = ufl.conditional(flows, cone, 0.0)
        by_cone = gamma * (1.5 / equivalent * deviator + self.dilation / 3.0 * identity)
        by_apex = deviator / (2.0 * shear) + volume / 3.0 * identity
        more = ufl.conditional(dilates, volume / dilation, 0.0)
        return {
            "plastic_strain": history["plastic_strain"] + _chosen(beyond, by_apex, by_cone),
            "equivalent_plastic_strain": hardened + ufl.conditional(beyond, more, gamma),
        }

    def _elastic(self, strain: Expr) -> Expr:
        bulk, shear = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        identity = _identity(strain)
        return (bulk - 2.0 / 3.0 * shear) * ufl.dot(identity, strain) * identity + 2.0 * shear * strain


def drucker_prager(
    young: float,
    poisson: float,
    cohesion: float,
    friction_angle: float,
    dilation_angle: float | None = None,
    hardening: float = 0.0,
) -> DruckerPrager:
    r"""Drucker–Prager plasticity whose cone touches that of Mohr and Coulomb along its compressive edges.

    .. math:: \eta = \frac{6 \sin\varphi}{3 - \sin\varphi}, \qquad k = \frac{6 c \cos\varphi}{3 - \sin\varphi}

    Args:
        young: Young's modulus, positive.
        poisson: Poisson's ratio, between -1 and 0.5.
        cohesion: c, positive.
        friction_angle: φ in degrees, from 0 to below 90.
        dilation_angle: ψ in degrees, from 0 to φ; φ where it is left out, associated flow.
        hardening: H of the equivalent stress over α, not negative.

    Raises:
        InputError: A parameter is not admissible.
    """
    owner = "drucker_prager"
    friction = sin(radians(checked(owner, "friction_angle", friction_angle, ANGLE)))
    given = friction_angle if dilation_angle is None else dilation_angle
    if checked(owner, "dilation_angle", given, ANGLE) > friction_angle:
        raise InputError(
            f"{owner}: dilation_angle = {given} is not admissible; it must not be above "
            f"friction_angle = {friction_angle}: flow would make energy"
        )
    dilation = sin(radians(given))
    strength = 6.0 * checked(owner, "cohesion", cohesion, POSITIVE) * cos(radians(friction_angle))
    return DruckerPrager(
        young,
        poisson,
        6.0 * friction / (3.0 - friction),
        6.0 * dilation / (3.0 - dilation),
        strength / (3.0 - friction),
        hardening,
    )


def _identity(strain: Expr) -> Expr:
    return ufl.as_vector([1.0, 1.0, 1.0] + [0.0] * (strain.ufl_shape[0] - 3))


def _chosen(condition: Expr, yes: Expr, no: Expr) -> Expr:
    return ufl.as_vector([ufl.conditional(condition, yes[i], no[i]) for i in range(yes.ufl_shape[0])])
