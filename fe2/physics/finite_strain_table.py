"""Mechanics at finite strain in case files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import Field

from fe2.physics.finite_strain import finite_strain_kinematics
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Key, Physics


class FiniteStrain(Physics):
    """Mechanics at finite strain."""

    factory = "fe2.micro.finite_strain:finite_strain"
    empty = 'law = "void"'

    incompressible: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Finite strain: nearly incompressible phases, which get a pressure field of their own."""

    def kinematics(self, dim: int) -> Kinematics:
        """Displacement gradient and nominal stress."""
        return finite_strain_kinematics(dim)

    def keywords(self, phases: Collection[str]) -> dict[str, Any]:
        """The phases among those of the cell that get a pressure."""
        return {"incompressible": [name for name in self.incompressible if name in phases]}

    def named_phases(self) -> dict[Key, str]:
        """The phases that get a pressure."""
        return {("incompressible", number): name for number, name in enumerate(self.incompressible)}

    def keeps_volume(self, phases: Mapping[str, Any]) -> tuple[str, ...]:
        """Those without a pressure."""
        return tuple(name for name in super().keeps_volume(phases) if name not in self.incompressible)
