"""Chemo-mechanics in case files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import fe2.lazy_ufl as ufl
from fe2.physics.chemomechanics import (
    CONCENTRATION,
    POTENTIAL,
    SOLUTE_FLUX,
    STRESS,
    chemomechanical_kinematics,
)
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Physics

if TYPE_CHECKING:
    from ufl.core.expr import Expr


class Chemomechanics(Physics):
    """Mechanics in small strain, coupled with the diffusion of a solute that swells the solid."""

    factory = "fe2.micro.chemomechanics:chemomechanics"
    empty = 'law = "void"'

    reference_potential: float = 0.0
    """Chemical potential of a virgin cell, which is free of stress."""

    def kinematics(self, dim: int) -> Kinematics:
        """Strain, chemical potential and its gradient; stress, concentration and solute flux."""
        return chemomechanical_kinematics(dim, self.reference_potential)

    def balances(
        self, kinematics: Kinematics, law: Any, fields: Mapping[str, Expr], tests: Mapping[str, Expr]
    ) -> dict[str, Expr]:
        r"""Equilibrium of the stress, and of the solute: :math:`\dot c = \nabla\cdot j`."""
        strain, _, slope = kinematics.blocks
        v, q = tests["displacement"], tests[POTENTIAL]
        rate = self.stored(kinematics, law, fields)[POTENTIAL]
        return {
            "displacement": ufl.inner(law[STRESS], strain.operator(v)),
            POTENTIAL: rate * q + ufl.inner(law[SOLUTE_FLUX], slope.operator(q)),
        }

    def stored(self, kinematics: Kinematics, law: Any, fields: Mapping[str, Expr]) -> dict[str, Expr]:
        """Solute in a unit of time."""
        return {POTENTIAL: law.rate(CONCENTRATION)}
