"""The compressible neo-Hookean law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import fe2.lazy_ufl as ufl
from fe2.physics.checks import POISSON, POSITIVE, check_fields
from fe2.physics.hyperelasticity import SplitHyperelasticLaw
from fe2.stiffness import isotropic_eigenvalues, shear_modulus

if TYPE_CHECKING:
    from ufl.core.expr import Expr


@dataclass(frozen=True, eq=False)
class NeoHookean(SplitHyperelasticLaw):
    r"""Compressible neo-Hookean law.

    .. math:: \psi = \frac{\mu}{2} (\mathrm{tr}\,F^T F - 3 - 2 \ln J) + \frac{\lambda}{2} (\ln J)^2, \qquad
              P = \mu (F - F^{-T}) + \lambda \ln J\,F^{-T}

    with Lamé's constants of small strain (Bonet & Wood 2008, section 6.4.3).

    Attributes:
        young: Young's modulus of the undeformed material.
        poisson: Poisson's ratio of the undeformed material.
    """

    young: float
    poisson: float

    def __post_init__(self) -> None:
        check_fields(self, young=POSITIVE, poisson=POISSON)

    def moduli(self) -> tuple[float, ...]:
        """Twice the shear modulus, three times the bulk modulus."""
        return isotropic_eigenvalues(self.young, self.poisson)

    @property
    def volumetric_modulus(self) -> float:
        r""":math:`\lambda = E \nu / ((1 + \nu) (1 - 2 \nu))`."""
        return self.young * self.poisson / ((1.0 + self.poisson) * (1.0 - 2.0 * self.poisson))

    def volumetric_strain(self, J: Expr) -> Expr:
        """Logarithm of J."""
        return ufl.ln(J)

    def distortional_energy(self, F: Expr) -> Expr:
        r""":math:`\frac{\mu}{2} (\mathrm{tr}\,F^T F - 3 - 2 \ln J)`."""
        shear = shear_modulus(self.young, self.poisson)
        return 0.5 * shear * (ufl.inner(F, F) - 3.0 - 2.0 * ufl.ln(ufl.det(F)))
