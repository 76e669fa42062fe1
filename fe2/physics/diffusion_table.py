"""Conduction and diffusion in case files."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import Field

from fe2.physics.conduction import DiffusionLaw, WithValue
from fe2.physics.diffusion import diffusion_kinematics, value_diffusion_kinematics
from fe2.physics.kinematics import Kinematics
from fe2.physics.physics_table import Key, Physics
from fe2.table import Table


class ContactTable(Table):
    """An interface that resists the flux."""

    between: Annotated[tuple[str, str], Field(strict=False)]
    """The two phases."""
    resistance: float = Field(gt=0.0)
    """Jump of the field over the flux."""


class Diffusion(Physics):
    """Conduction or diffusion of a scalar."""

    factory = "fe2.micro.diffusion:diffusion"
    empty = "conductivity = 0"
    effective = "conductivity"
    default_law = "linear_conduction"

    value: bool = False
    """Whether the cell receives the field's value besides its gradient, as storage and laws that depend on it
    need."""
    initial_value: float = 0.0
    """The value in a virgin cell."""
    contact: Annotated[tuple[ContactTable, ...], Field(strict=False)] = ()
    """Interfaces that resist, [{ between = ["a", "b"], resistance = 1.0 }]."""
    connection: Literal["nodes", "faces"] = "nodes"
    """What connects conductors beside what insulates; with faces, parts that touch in corners or edges only
    are left out."""

    def kinematics(self, dim: int) -> Kinematics:
        """Gradient and flux, with the value and what is stored where cells receive it."""
        if self.value:
            return value_diffusion_kinematics(dim, self.initial_value)
        return diffusion_kinematics(dim)

    def keywords(self, phases: Collection[str]) -> dict[str, Any]:
        """The keys, with the interfaces between phases that the cell has."""
        pairs = [pair for pair in self.contact if set(pair.between) <= set(phases)]
        return {**super().keywords(phases), "contact": {pair.between: pair.resistance for pair in pairs}}

    def named_phases(self) -> dict[Key, str]:
        """The phases beside interfaces."""
        return {
            ("contact", number, "between"): name
            for number, pair in enumerate(self.contact)
            for name in pair.between
        }

    def seen(self, law: Any) -> Any:
        """Laws see the value too where cells receive it."""
        return WithValue(law) if self.value and isinstance(law, DiffusionLaw) else law

    def history(self, law: Any, size: int) -> dict[str, int]:
        """What is kept where cells receive the value."""
        if self.value:
            return {name: 1 for material in law.materials for name in material.kept()}
        return super().history(law, size)
