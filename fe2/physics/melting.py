"""Conduction with a phase change: latent heat over an interval of temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import fe2.lazy_ufl as ufl
from fe2.errors import InputError
from fe2.physics.checks import FINITE, NOT_NEGATIVE, POSITIVE, check_fields
from fe2.physics.conduction import DiffusionLaw

if TYPE_CHECKING:
    from ufl.core.expr import Expr


@dataclass(frozen=True, eq=False)
class MeltingConduction(DiffusionLaw):
    r"""A material that melts between two temperatures.

    .. math::

        \varphi = 3 \theta^2 - 2 \theta^3, \qquad
        \theta = \min(\max(\tfrac{T - T_s}{T_l - T_s}, 0), 1)

        k = k_s + (k_l - k_s)\,\varphi, \qquad
        h = c_s (T - T_s) + \int_{T_s}^T (c_l - c_s)\,\varphi\,\mathrm{d}T' + L\,\varphi

    The enthalpy is that of the solid at :math:`T_s` and counted from there. It is continuously
    differentiable, so Newton's method finds its way through the interval; dh/dT is at most
    :math:`\tfrac32 L / (T_l - T_s)` above that of the phases.

    Attributes:
        conductivity: :math:`k_s` of the solid.
        capacity: :math:`c_s` of the solid, heat for each unit of volume and temperature.
        latent_heat: L, heat for each unit of volume.
        solidus: :math:`T_s`, below which all is solid.
        liquidus: :math:`T_l`, above which all is liquid.
        liquid_conductivity: :math:`k_l`; that of the solid by default.
        liquid_capacity: :math:`c_l`; that of the solid by default.

    Raises:
        InputError: A number is not admissible, or the liquidus is not above the solidus.
    """

    conductivity: float
    capacity: float
    latent_heat: float
    solidus: float
    liquidus: float
    liquid_conductivity: float | None = None
    liquid_capacity: float | None = None

    symmetric: ClassVar[bool] = False
    needs_value: ClassVar[bool] = True  # type: ignore[misc]
    stores: ClassVar[bool] = True  # type: ignore[misc]

    def __post_init__(self) -> None:
        for name, solid in (("liquid_conductivity", "conductivity"), ("liquid_capacity", "capacity")):
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(self, solid))
        check_fields(
            self,
            conductivity=POSITIVE,
            capacity=POSITIVE,
            latent_heat=NOT_NEGATIVE,
            solidus=FINITE,
            liquidus=FINITE,
            liquid_conductivity=POSITIVE,
            liquid_capacity=POSITIVE,
        )
        if not self.solidus < self.liquidus:
            raise InputError(
                f"MeltingConduction: liquidus = {self.liquidus:g} is not admissible; it must be above the "
                f"solidus, {self.solidus:g}"
            )

    def moduli(self) -> tuple[float, ...]:
        """Conductivities of solid and liquid."""
        assert self.liquid_conductivity is not None
        return self.conductivity, self.liquid_conductivity

    def liquid_fraction(self, value: Expr) -> Expr:
        r"""Share :math:`\varphi` of the material that is liquid."""
        part = self._part(value)
        return part**2 * (3.0 - 2.0 * part)

    def observed(self, value: Expr) -> dict[str, Expr]:
        """The liquid fraction."""
        return {"liquid_fraction": self.liquid_fraction(value)}

    def conducted(self, value: Expr, gradient: Expr) -> Expr:
        """Flux."""
        change = self.liquid_conductivity - self.conductivity  # type: ignore[operator]
        return (self.conductivity + change * self.liquid_fraction(value)) * gradient

    def stored(self, value: Expr) -> Expr:
        """Heat that a unit of volume holds beyond the solid at its solidus."""
        part, interval = self._part(value), self.liquidus - self.solidus
        beyond = ufl.max_value(value - self.liquidus, 0.0)
        weighted = interval * (part**3 - 0.5 * part**4) + beyond
        change = self.liquid_capacity - self.capacity  # type: ignore[operator]
        sensible = self.capacity * (value - self.solidus) + change * weighted
        return sensible + self.latent_heat * self.liquid_fraction(value)

    def _part(self, value: Expr) -> Expr:
        return ufl.min_value(ufl.max_value((value - self.solidus) / (self.liquidus - self.solidus), 0.0), 1.0)
