"""The Mooney–Rivlin law of rubber."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fe2.physics.checks import NOT_NEGATIVE, POSITIVE, check_fields
from fe2.physics.hyperelasticity import SplitHyperelasticLaw, isochoric_invariants

if TYPE_CHECKING:
    from ufl.core.expr import Expr


@dataclass(frozen=True, eq=False)
class MooneyRivlin(SplitHyperelasticLaw):
    r"""Mooney–Rivlin law, isochoric, with a resistance to a change of volume.

    .. math:: \psi = c_{10} (\bar I_1 - 3) + c_{01} (\bar I_2 - 3) + \frac{K}{2} (J - 1)^2

    of the invariants of :math:`\bar C = J^{-2/3} F^T F` (Mooney 1940, Rivlin 1948). The shear modulus of
    the undeformed material is :math:`2 (c_{10} + c_{01})`.

    Attributes:
        c10: First constant, positive, units of stress.
        c01: Second constant, zero or positive; with zero this is the isochoric neo-Hookean law.
        bulk: Bulk modulus K.
    """

    c10: float
    c01: float
    bulk: float

    def __post_init__(self) -> None:
        check_fields(self, c10=POSITIVE, c01=NOT_NEGATIVE, bulk=POSITIVE)

    def moduli(self) -> tuple[float, ...]:
        """Twice the shear modulus, three times the bulk modulus."""
        return 4.0 * (self.c10 + self.c01), 3.0 * self.bulk

    @property
    def volumetric_modulus(self) -> float:
        """Bulk modulus."""
        return self.bulk

    def distortional_energy(self, F: Expr) -> Expr:
        """The energy without its last term."""
        first, second = isochoric_invariants(F)
        return self.c10 * (first - 3.0) + self.c01 * (second - 3.0)
