"""Flow of a fluid through pores in case files."""

from __future__ import annotations

from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Physics
from fe2.physics.pore_flow import pore_flow_kinematics, value_pore_flow_kinematics


class PoreFlow(Physics):
    """Flow of one fluid through the pores."""

    factory = "fe2.micro.pore_flow:pore_flow"
    empty = "solid = true"
    effective = "permeability"
    default_law = "newtonian_fluid"

    value: bool = False
    """Whether the cell receives the pressure besides its gradient, as a gas that slips needs it."""
    initial_value: float = 0.0
    """The pressure in a virgin cell."""

    def kinematics(self, dim: int) -> Kinematics:
        """Pressure gradient and flux, with the pressure where cells receive it."""
        return (
            value_pore_flow_kinematics(dim, self.initial_value) if self.value else pore_flow_kinematics(dim)
        )
