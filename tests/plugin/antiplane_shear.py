"""Bodies that move along their third axis only: a physics, a law, and a micro model without a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

import fe2.lazy_ufl as ufl
from fe2.micro.model_table import ModelTable, Setting
from fe2.physics.checks import POSITIVE, check_fields
from fe2.physics.kinematics import Block, Kinematics
from fe2.physics.law import ExpressionLaw
from fe2.physics.physics_table import Physics


def antiplane_kinematics(dim: int) -> Kinematics:
    """Shear strains and stresses along the axes of the plane."""
    strain = Block(
        name="shear_strain",
        dual="shear_stress",
        components=("xz", "yz", "zz")[:dim],
        field="deflection",
        operator=ufl.grad,
        modes=lambda x: x[:, None, :],
    )
    return Kinematics(name="antiplane_shear", dim=dim, fields={"deflection": ()}, blocks=(strain,))


class AntiplaneShear(Physics):
    """Anti-plane shear."""

    factory = "antiplane_shear:cell_in_shear"
    effective = "shear stiffness"

    element_degree: int = Field(1, ge=1, le=2)
    """Degree of the deflection in the cell."""

    def kinematics(self, dim: int) -> Kinematics:
        """Shear strain and stress."""
        return antiplane_kinematics(dim)


@dataclass(frozen=True)
class Softening(ExpressionLaw):
    r"""Shear stress G γ / √(1 + |γ|²/γ₀²).

    Attributes:
        shear: Shear modulus G at rest.
        reference: Shear strain γ₀ at which the stress has fallen behind by a factor of √2.
    """

    shear: float
    reference: float

    def __post_init__(self) -> None:
        check_fields(self, shear=POSITIVE, reference=POSITIVE)

    def flux(self, gradient: Any, history: Mapping[str, Any], dt: Any) -> Any:
        """Shear stress."""
        return self.shear * gradient / ufl.sqrt(1.0 + ufl.dot(gradient, gradient) / self.reference**2)


def cell_in_shear(
    cell: Any,
    laws: Mapping[str, Any],
    *,
    boundary: str,
    degree: int | None,
    options: Any,
    element_degree: int = 1,
) -> Any:
    """A representative volume element in anti-plane shear."""
    from fe2.micro.phases import phase_form
    from fe2.micro.rve import RVE

    form = phase_form(cell, antiplane_kinematics(cell.dim), laws, degree=degree or element_degree)
    return RVE(cell, form, boundary=boundary, options=options)


class Creeping(ModelTable):
    """A spring behind a dashpot in every direction: s = k (g - a), and da/dt = (g - a) / τ."""

    stiffness: float = Field(gt=0.0)
    """Stiffness k."""
    time: float = Field(gt=0.0)
    """Relaxation time τ."""

    def build(self, setting: Setting) -> _Creeping:
        """The model in the components of the run's physics."""
        return _Creeping(setting.kinematics, self.stiffness, self.time)


class _Creeping:
    """States are what has crept, one number for each component."""

    def __init__(self, kinematics: Kinematics, stiffness: float, time: float) -> None:
        self.kinematics, self._stiffness, self._time = kinematics, stiffness, time
        self.state_size = self.lasting_size = kinematics.size

    def initial_state(self) -> Any:
        return np.zeros(self.state_size)

    def solve(self, gradient: Any, state: Any, dt: float, out: Any) -> Any:
        from fe2.response import Response

        part = dt / self._time
        out[:] = (state + part * gradient) / (1.0 + part)
        stiffness = self._stiffness / (1.0 + part) * np.eye(len(gradient))
        return Response(self._stiffness * (gradient - out), stiffness, 0, 0.0)

    def averages(self, states: Any) -> dict[str, Any]:
        return {"crept": states}
