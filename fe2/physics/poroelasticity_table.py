"""Poroelasticity in case files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from fe2.arrays import Array
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Physics
from fe2.physics.poroelastic_properties import consolidation
from fe2.physics.poroelasticity import CONTENT, poroelastic_kinematics

if TYPE_CHECKING:
    from ufl.core.expr import Expr


class Poroelasticity(Physics):
    """Mechanics in small strain, coupled with storage and seepage of the fluid in the pores."""

    factory = "fe2.micro.poroelasticity:poroelasticity"
    empty = 'law = "void"'

    fluid_modulus: float | None = Field(default=None, gt=0.0)
    """Bulk modulus of a fluid that fills what the mesh leaves out; empty and drained by default."""

    def kinematics(self, dim: int) -> Kinematics:
        """Strain, pressure and its gradient; stress, fluid content and seepage."""
        return poroelastic_kinematics(dim)

    def diffusivity(self, kinematics: Kinematics, tangent: Array) -> float | None:
        """Coefficient of consolidation."""
        return consolidation(tangent, kinematics.dim)

    def stored(self, kinematics: Kinematics, law: Any, fields: Mapping[str, Expr]) -> dict[str, Expr]:
        r"""Volume of fluid in a unit of time, :math:`\dot\zeta`."""
        return {"pressure": law.rate(CONTENT)}
