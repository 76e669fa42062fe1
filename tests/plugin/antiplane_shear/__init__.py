"""Bodies that move along their third axis only: a physics, a law, and a micro model without a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

import fe2.lazy_ufl as ufl
from fe2.micro.model_table import ModelTable, Setting
from fe2.physics.checks import POSITIVE, check_fields
from fe2.physics.kinematics import Block, Kinematics
from fe2.physics.law import ExpressionLaw
from fe2.physics.physics_table import Physics

if TYPE_CHECKING:
    from fe2.micro.model import MicroModel


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

    def build(self, setting: Setting) -> MicroModel:
        """The model in the components of the run's physics."""
        from antiplane_shear.creeping import Springs

        return Springs(setting.kinematics, self.stiffness, self.time)


class Graded(ModelTable):
    """A stiffness that grows with the share of a filler, which differs from point to point: s = k f g."""

    asks_for = ("filler",)

    stiffness: float = Field(gt=0.0)
    """Stiffness k of the filler."""

    def build(self, setting: Setting) -> MicroModel:
        """The model in the components of the run's physics."""
        from antiplane_shear.graded import Filled

        return Filled(setting.kinematics, self.stiffness)


def halves(path: Path, *, share: float = 0.5, size: float = 0.25, binary: bool = True) -> Path:
    """Two layers across the first axis.

    Args:
        path: File to write.
        share: Share of the first layer.
        size: Edge length of the elements.
        binary: Whether the file is a binary one.
    """
    from fe2_meshes.laminate import laminate

    return laminate(path, fractions=(share, 1.0 - share), elements="tensor", size=size, binary=binary)
