"""Small-strain mechanics in case files."""

from __future__ import annotations

from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Physics
from fe2.physics.small_strain import small_strain_kinematics


class SmallStrain(Physics):
    """Mechanics in small strain."""

    factory = "fe2.micro.small_strain:small_strain"
    empty = 'law = "void"'
    effective = "stiffness"

    def kinematics(self, dim: int) -> Kinematics:
        """Strain and stress."""
        return small_strain_kinematics(dim)
