r"""Rate-independent J2 plasticity with linear hardening, as a closed UFL expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import fe2.lazy_ufl as ufl
from fe2.physics.checks import NOT_NEGATIVE, POISSON, POSITIVE, check_fields
from fe2.physics.law import ON_YIELD_SURFACE, ExpressionLaw
from fe2.stiffness import bulk_modulus, isotropic_eigenvalues, shear_modulus

if TYPE_CHECKING:
    from ufl.core.expr import Expr


@dataclass(frozen=True)
class J2Plasticity(ExpressionLaw):
    r"""Von Mises plasticity with linear isotropic and linear kinematic (Prager) hardening.

    .. math::

        \sigma = C : (\varepsilon - \varepsilon_p), \qquad
        \sigma_{eq}(\sigma - X) \le \sigma_y + H p, \qquad
        \dot\varepsilon_p = \dot p\, \frac{3}{2} \frac{\mathrm{dev}\,\sigma - X}{\sigma_{eq}(\sigma - X)},
        \qquad X = \frac{2}{3} H_k \varepsilon_p

    with :math:`\sigma_{eq}(s) = \sqrt{\tfrac32\, \mathrm{dev}\, s : \mathrm{dev}\, s}`. In uniaxial tension
    the stress grows with the plastic strain at the rate :math:`H + H_k`. Backward Euler is the radial
    return :math:`\Delta p = \langle \sigma_{eq}^{trial} - \sigma_y - H p_n \rangle / (3G + H + H_k)`
    (Simo & Hughes 1998, box 3.1).

    Attributes:
        young: Young's modulus E.
        poisson: Poisson's ratio.
        yield_stress: Initial yield stress in uniaxial tension, positive.
        hardening: Isotropic hardening modulus H, not negative.
        kinematic_hardening: Kinematic hardening modulus, not negative.
    """

    young: float
    poisson: float
    yield_stress: float
    hardening: float = 0.0
    kinematic_hardening: float = 0.0

    def __post_init__(self) -> None:
        check_fields(
            self,
            young=POSITIVE,
            poisson=POISSON,
            yield_stress=POSITIVE,
            hardening=NOT_NEGATIVE,
            kinematic_hardening=NOT_NEGATIVE,
        )

    def moduli(self) -> tuple[float, ...]:
        """Twice the shear modulus, three times the bulk modulus."""
        return isotropic_eigenvalues(self.young, self.poisson)

    @property
    def isochoric(self) -> bool:
        """Plastic flow keeps the volume."""
        return True

    def history(self, size: int) -> dict[str, int]:
        """Plastic strain in Mandel components, and its accumulated equivalent p."""
        return {"plastic_strain": size, "equivalent_plastic_strain": 1}

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Stress."""
        bulk = bulk_modulus(self.young, self.poisson)
        shear = shear_modulus(self.young, self.poisson)
        spherical, deviator = _split(gradient)
        plastic_strain = self.update(gradient, history, dt)["plastic_strain"]
        return 3.0 * bulk * spherical + 2.0 * shear * (deviator - plastic_strain)

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        """Plastic strain and its accumulated equivalent after the radial return."""
        plastic_strain, accumulated = history["plastic_strain"], history["equivalent_plastic_strain"]
        shear = shear_modulus(self.young, self.poisson)
        _, deviator = _split(gradient)
        trial = 2.0 * shear * deviator - (2.0 * shear + 2.0 / 3.0 * self.kinematic_hardening) * plastic_strain
        # Far below round-off of any yielding state, it makes the root differentiable at zero.
        tiny = 1e-20 * self.yield_stress
        equivalent = ufl.sqrt(1.5 * ufl.dot(trial, trial) + tiny * tiny)
        overstress = equivalent - self.yield_stress - self.hardening * accumulated
        stiffness = 3.0 * shear + self.hardening + self.kinematic_hardening
        flows = ufl.gt(overstress, ON_YIELD_SURFACE * self.yield_stress)
        increment = ufl.conditional(flows, overstress, 0.0) / stiffness
        return {
            "plastic_strain": plastic_strain + 1.5 * increment / equivalent * trial,
            "equivalent_plastic_strain": accumulated + increment,
        }


def _split(strain: Expr) -> tuple[Expr, Expr]:
    """Spherical and deviatoric part of a strain in Mandel components, size 4 or 6."""
    identity = ufl.as_vector([1.0, 1.0, 1.0] + [0.0] * (strain.ufl_shape[0] - 3))
    spherical = (strain[0] + strain[1] + strain[2]) / 3.0 * identity
    return spherical, strain - spherical
