"""The law of Holzapfel, Gasser and Ogden: soft tissue with families of fibres."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.errors import InputError
from fe2.physics.checks import POSITIVE, Admissible, check_fields, checked_direction
from fe2.physics.hyperelasticity import SplitHyperelasticLaw, isochoric_invariants
from fe2.tensors import Array

if TYPE_CHECKING:
    from ufl.core.expr import Expr

DISPERSION = Admissible("between 0 (aligned) and 1/3 (isotropic)", lambda value: 0.0 <= value <= 1.0 / 3.0)


@dataclass(frozen=True, eq=False)
class HolzapfelGasserOgden(SplitHyperelasticLaw):
    r"""Neo-Hookean matrix with families of fibres that carry tension only.

    .. math::

        \psi = \frac{\mu}{2} (\bar I_1 - 3)
             + \sum_i \frac{k_1}{2 k_2} \left(e^{k_2 \langle E_i \rangle^2} - 1\right)
             + \frac{K}{2} (J - 1)^2, \qquad
        E_i = \kappa (\bar I_1 - 3) + (1 - 3 \kappa) (a_i \cdot \bar C a_i - 1)

    with :math:`\bar C = J^{-2/3} F^T F` (Gasser, Ogden & Holzapfel, J. R. Soc. Interface 3
    (2006) 15–35, with their c for μ); :math:`\langle E \rangle = \max(E, 0)`. With κ = 0 it is the law of
    Holzapfel, Gasser & Ogden (2000).

    Attributes:
        shear: Shear modulus μ of the matrix.
        fibre_stiffness: :math:`k_1`, units of stress.
        fibre_exponent: :math:`k_2`, positive, no unit.
        bulk: Bulk modulus K.
        directions: Directions :math:`a_i` of the families in the undeformed state, of any length, shape
            (families, 3), or (families, 2) for directions in the plane.
        dispersion: κ of the fibres around their direction, from 0 to 1/3.
    """

    shear: float
    fibre_stiffness: float
    fibre_exponent: float
    bulk: float
    directions: Array
    dispersion: float = 0.0
    families: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        check_fields(
            self,
            shear=POSITIVE,
            fibre_stiffness=POSITIVE,
            fibre_exponent=POSITIVE,
            bulk=POSITIVE,
            dispersion=DISPERSION,
        )
        directions = _unit_vectors(type(self).__name__, self.directions)
        object.__setattr__(self, "directions", directions)
        object.__setattr__(self, "families", len(directions))

    def moduli(self) -> tuple[float, ...]:
        """Twice the shear modulus of the matrix, three times the bulk modulus."""
        return 2.0 * self.shear, 3.0 * self.bulk

    @property
    def volumetric_modulus(self) -> float:
        """Bulk modulus."""
        return self.bulk

    def distortional_energy(self, F: Expr) -> Expr:
        """Matrix and fibres."""
        first, _ = isochoric_invariants(F)
        energy = 0.5 * self.shear * (first - 3.0)
        for i in range(self.families):
            a = ufl.as_vector([self.directions[i, j] for j in range(3)])
            stretched = ufl.dot(F, a)
            fourth = ufl.det(F) ** (-2.0 / 3.0) * ufl.inner(stretched, stretched)
            strain = self.dispersion * (first - 3.0) + (1.0 - 3.0 * self.dispersion) * (fourth - 1.0)
            tension = ufl.max_value(strain, 0.0)
            exponential = ufl.exp(self.fibre_exponent * tension**2)
            energy += 0.5 * self.fibre_stiffness / self.fibre_exponent * (exponential - 1.0)
        return energy


def _unit_vectors(owner: str, directions: npt.ArrayLike) -> Array:
    rows = [np.atleast_1d(row) for row in np.atleast_2d(np.asarray(directions, dtype=object))]
    if not rows or not rows[0].size:
        raise InputError(f"{owner}: directions are missing; each family of fibres needs one")
    vectors = [
        checked_direction(owner, f"directions[{i}]", np.append(row, 0.0) if len(row) == 2 else row)
        for i, row in enumerate(rows)
    ]
    unit = np.array([vector / np.linalg.norm(vector) for vector in vectors])
    unit.flags.writeable = False
    return unit
