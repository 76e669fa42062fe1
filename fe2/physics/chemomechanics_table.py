"""Chemo-mechanics in case files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fe2.physics.chemomechanics import (
    CONCENTRATION,
    POTENTIAL,
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

    def stored(self, kinematics: Kinematics, law: Any, fields: Mapping[str, Expr]) -> dict[str, Expr]:
        """Solute in a unit of time."""
        return {POTENTIAL: law.rate(CONCENTRATION)}
