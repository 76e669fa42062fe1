"""Thermoelasticity in case files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Physics
from fe2.physics.thermoelasticity import (
    ENTROPY,
    ROOM_TEMPERATURE,
    thermoelastic_kinematics,
)

if TYPE_CHECKING:
    from ufl.core.expr import Expr


class Thermoelasticity(Physics):
    """Mechanics in small strain, coupled with conduction and storage of heat."""

    factory = "fe2.micro.thermoelasticity:thermoelasticity"
    empty = 'law = "void"'

    reference_temperature: float = Field(default=ROOM_TEMPERATURE, gt=0.0)
    """Absolute temperature of a virgin cell, which is free of stress."""

    def kinematics(self, dim: int) -> Kinematics:
        """Strain, temperature and its gradient; stress, entropy and heat flux."""
        return thermoelastic_kinematics(dim, self.reference_temperature)

    def stored(self, kinematics: Kinematics, law: Any, fields: Mapping[str, Expr]) -> dict[str, Expr]:
        r"""Heat in a unit of time, :math:`T_0\,\dot\eta`."""
        return {"temperature": self.reference_temperature * law.rate(ENTROPY)}
