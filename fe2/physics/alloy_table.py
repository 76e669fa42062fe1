"""Solids of several components in case files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from fe2.physics.alloy import alloy_kinematics
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Physics

if TYPE_CHECKING:
    from ufl.core.expr import Expr


class Alloys(Physics):
    """Mechanics in small strain, coupled with the diffusion of several components that swell the solid."""

    factory = "fe2.micro.alloy:alloy"
    empty = 'law = "void"'

    components: int = Field(default=2, ge=1, le=20)
    """Number of components, each with a chemical potential; the host, whose sites they take, is none."""

    def kinematics(self, dim: int) -> Kinematics:
        """Strain, and a chemical potential and its gradient for each component."""
        return alloy_kinematics(dim, self.components)

    def stored(self, kinematics: Kinematics, law: Any, fields: Mapping[str, Expr]) -> dict[str, Expr]:
        """Each component in a unit of time."""
        return {block.field: law.rate(block.dual) for block in kinematics.blocks if block.kind == "value"}
