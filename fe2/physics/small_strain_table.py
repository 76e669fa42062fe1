"""Small-strain mechanics in case files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Kind, Physics
from fe2.physics.small_strain import small_strain_kinematics


class SmallStrain(Physics):
    """Mechanics in small strain."""

    factory = "fe2.micro.small_strain:small_strain"
    unknowns: ClassVar[Mapping[str, Kind]] = {"displacement": "vector"}
    effective = "stiffness"

    def kinematics(self, dim: int) -> Kinematics:
        """Strain and stress."""
        return small_strain_kinematics(dim)
