r"""Thermoelasticity: strain, temperature and its gradient; stress, entropy and heat flux.

The mechanical strain is what heat does not explain, :math:`\varepsilon_m = \varepsilon - \alpha(T)(T - T_0)`,
with the secant coefficients of expansion α from the stress-free temperature :math:`T_0`. With the free energy

.. math:: \psi = W(\varepsilon_m; T) - \tfrac12\,c_\sigma (T - T_0)^2 / T_0

stress, entropy and the (opposite of the physical) heat flux are

.. math::

    \sigma = \partial_\varepsilon \psi, \qquad
    \eta = -\partial_T \psi = (\alpha (T - T_0))' : \sigma - \partial_T W
        + \frac{c_\sigma}{T_0} (T - T_0), \qquad s = K(T)\,\nabla T,

with :math:`c_\sigma = c + T_0\,\alpha : C : \alpha` at :math:`T_0`, so that c is the heat capacity of a unit
of volume at constant strain. Linear in the temperature, this is Biot's thermoelasticity (J. Appl. Phys.
27 (1956), 240–253), with the balance of heat :math:`T_0\,\dot\eta = \nabla\cdot s`: a constant c is then a
constant heat capacity however far it is heated.

Of the power of plastic flow the share χ of Taylor and Quinney (Proc. R. Soc. A 143 (1934), 307–326) is heat.
What a point is *supplied* with, by conduction or by sources, is the entropy without what it produces itself,

.. math:: \eta - \frac1{T_0} \int \chi\,\sigma : \mathrm{d}\varepsilon_p,

and this is what stands for η everywhere: the balance keeps its form, a point that exchanges nothing is
adiabatic with and without plastic flow, and what is stored is what came in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fe2.errors import InputError
from fe2.physics.checks import (
    FINITE,
    POISSON,
    POSITIVE,
    SHARE,
    check_fields,
)
from fe2.physics.conduction import DiffusionLaw, LinearConduction, NonlinearConduction
from fe2.physics.diffusion import slope
from fe2.physics.elasticity import LinearElastic
from fe2.physics.kinematics import Kinematics, scalar_value
from fe2.physics.law import ExpressionLaw, PhaseLaw, PointLaw
from fe2.physics.law_of_temperature import IsotropicElastic, OfTemperature, law_of_properties
from fe2.physics.small_strain import small_strain_kinematics
from fe2.physics.symmetric_tensor import checked_tensor
from fe2.physics.temperature import Property, checked_property
from fe2.physics.thermoelastic_properties import characterize_thermoelasticity

if TYPE_CHECKING:
    from ufl.core.expr import Expr

Array = npt.NDArray[np.float64]
type Number = float | npt.ArrayLike

ROOM_TEMPERATURE = 293.15
STRAIN, TEMPERATURE, SLOPE = "strain", "temperature", "temperature_gradient"
STRESS, ENTROPY, HEAT_FLUX = "stress", "entropy", "heat_flux"
PLASTIC = "plastic_strain"
"""The history variable whose change does plastic work."""


def thermoelastic_kinematics(dim: int, reference_temperature: float = ROOM_TEMPERATURE) -> Kinematics:
    """The cell receives strain, temperature and temperature gradient; plane strain in two dimensions.

    Args:
        dim: Geometric dimension.
        reference_temperature: Temperature of a virgin cell, which is free of stress.
    """
    mechanics = small_strain_kinematics(dim)
    return Kinematics(
        name="thermoelasticity",
        dim=dim,
        fields={"displacement": (dim,), "temperature": ()},
        blocks=(
            mechanics.block(),
            scalar_value(
                TEMPERATURE,
                ENTROPY,
                "temperature",
                reference_temperature,
                reference_temperature,
                is_positive=True,
            ),
            slope(SLOPE, HEAT_FLUX, "temperature", dim),
        ),
        characterize=partial(
            characterize_thermoelasticity, dim=dim, reference_temperature=reference_temperature
        ),
    )


@dataclass(frozen=True, eq=False)
class Thermoelastic(PhaseLaw):
    """A material that deforms, expands, stores and conducts heat.

    .. code-block:: python

        Thermoelastic(LinearElastic.isotropic(70e3, 0.33), LinearConduction(237.0), 23e-6, 2.4)
        Thermoelastic(J2Plasticity(200e3, 0.3, 300.0), LinearConduction(50.0), 12e-6, 3.6)
        Thermoelastic.isotropic(lambda T: 210e3 - 60.0 * (T - 293.15), 0.3, 12e-6, 50.0, 3.6)

    Attributes:
        mechanics: Law of the mechanical strain, of small strain; or temperature ↦ elastic law, or an
            :class:`OfTemperature`.
        conduction: Law of conduction, which may depend on the temperature; what it stores does not count.
        expansion: Secant coefficient of expansion, 1/K: a number, the three principal values along the axes,
            a symmetric matrix of shape (3, 3), a table, or temperature ↦ number.
        heat_capacity: Heat capacity c of a unit of volume at constant strain, positive: a number, a table, or
            temperature ↦ number.
        taylor_quinney: Share of the plastic power σ : dε_p/dt that becomes heat, between 0 and 1.
        stress_free_temperature: Temperature at which the material is free of stress without strain, positive;
            the cell's reference temperature where it is None.

    Raises:
        InputError: A law is of another kind, or a number is not admissible.
    """

    mechanics: PhaseLaw | Callable[[Expr], ExpressionLaw]
    conduction: DiffusionLaw
    expansion: Number | Property
    heat_capacity: Property
    taylor_quinney: float = 0.0
    stress_free_temperature: float | None = None

    def __post_init__(self) -> None:
        owner = type(self).__name__
        if not (isinstance(self.mechanics, ExpressionLaw | PointLaw) or callable(self.mechanics)):
            raise InputError(
                f"{owner}: mechanics is a {type(self.mechanics).__name__}, no law of small strain"
            )
        if not isinstance(self.conduction, DiffusionLaw):
            raise InputError(
                f"{owner}: conduction is a {type(self.conduction).__name__}, no law of conduction"
            )
        object.__setattr__(self, "expansion", _checked_expansion(owner, self.expansion))
        capacity = checked_property(owner, "heat_capacity", self.heat_capacity, POSITIVE)
        object.__setattr__(self, "heat_capacity", capacity)
        check_fields(self, taylor_quinney=SHARE)
        if self.stress_free_temperature is not None:
            check_fields(self, stress_free_temperature=POSITIVE)
        if self.taylor_quinney and PLASTIC not in self.history(6):
            raise InputError(
                f"{owner}: taylor_quinney = {self.taylor_quinney:g} is not admissible; "
                f"a {type(self.mechanics).__name__} has no {PLASTIC}, so that nothing heats"
            )

    @classmethod
    def isotropic(
        cls,
        young: Property,
        poisson: Property,
        expansion: Number | Property,
        conductivity: Number | Property,
        heat_capacity: Property,
        stress_free_temperature: float | None = None,
    ) -> Thermoelastic:
        """Isotropic elasticity; each property is a number, a table or temperature ↦ formula.

        Args:
            young: Young's modulus, positive.
            poisson: Poisson's ratio, between -1 and 0.5.
            expansion: Secant coefficient of thermal expansion, 1/K; or as in the class.
            conductivity: Thermal conductivity; or principal values along the axes, or a symmetric matrix.
            heat_capacity: Heat capacity of a unit of volume at constant strain, positive.
            stress_free_temperature: As in the class.
        """
        mechanics = law_of_properties(
            cls.__name__,
            IsotropicElastic,
            LinearElastic.isotropic,
            young=(young, POSITIVE),
            poisson=(poisson, POISSON),
        )
        conduction = conduction_of(cls.__name__, conductivity)
        return cls(
            mechanics, conduction, expansion, heat_capacity, stress_free_temperature=stress_free_temperature
        )

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the tangents of stress and heat flux by their own gradients are symmetric."""
        return bool(getattr(self.mechanics, "symmetric", True)) and self.conduction.symmetric

    @property
    def isochoric(self) -> bool:
        """As the law of the mechanical strain."""
        return bool(getattr(self.mechanics, "isochoric", False))

    def moduli(self) -> tuple[float, ...]:
        """Those of the law of the mechanical strain."""
        return self.mechanics.moduli() if isinstance(self.mechanics, PhaseLaw) else ()

    @property
    def insulates(self) -> bool:
        """Whether nothing is conducted."""
        return self.conduction.insulates

    @property
    def heating(self) -> bool:
        """Whether plastic flow heats."""
        return self.taylor_quinney > 0.0

    def history(self, size: int) -> dict[str, int]:
        """That of the law of the mechanical strain, and the heat of plastic flow where there is any."""
        own = self.mechanics.history(size) if isinstance(self.mechanics, PhaseLaw | OfTemperature) else {}
        return {**own, "plastic_heat": 1} if self.heating else own


def conduction_of(owner: str, conductivity: Any) -> DiffusionLaw:
    """The law of conduction of a conductivity that is a number, an array, a table or a formula."""
    if isinstance(conductivity, Mapping):
        conductivity = checked_property(owner, "conductivity", conductivity, POSITIVE)
    return NonlinearConduction(conductivity) if callable(conductivity) else LinearConduction(conductivity)


def _checked_expansion(owner: str, value: Any) -> Any:
    """A number, six Mandel components, a table or a function.

    Raises:
        InputError: It is no number, no three numbers and no symmetric matrix.
    """
    if callable(value) or isinstance(value, Mapping) or np.ndim(value) == 0:
        return checked_property(owner, "expansion", value, FINITE)
    return checked_tensor(owner, "expansion", value)
