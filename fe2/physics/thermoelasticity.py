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
of volume at constant strain there. Linear in the temperature, this is Biot's thermoelasticity (J. Appl. Phys.
27 (1956), 240–253).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import fe2.lazy_ufl as ufl
from fe2.errors import InputError
from fe2.physics.checks import FINITE, POSITIVE, checked, checked_array
from fe2.physics.conduction import DiffusionLaw, LinearConduction, NonlinearConduction
from fe2.physics.diffusion import characterize_diffusion, slope
from fe2.physics.elasticity import LinearElastic
from fe2.physics.kinematics import Kinematics, scalar_value
from fe2.physics.law import ExpressionLaw, PhaseLaw, PointLaw
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.small_strain import small_strain_kinematics
from fe2.singular import null_directions
from fe2.stiffness import bulk_modulus, shear_modulus
from fe2.tensors import component_indices, component_names

if TYPE_CHECKING:
    from ufl.core.expr import Expr

Array = npt.NDArray[np.float64]
type Number = float | npt.ArrayLike
type Property = float | Callable[[Expr], Expr]
"""A number, or a formula of the temperature."""

ROOM_TEMPERATURE = 293.15
STRAIN, TEMPERATURE, SLOPE = "strain", "temperature", "temperature_gradient"
STRESS, ENTROPY, HEAT_FLUX = "stress", "entropy", "heat_flux"


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
            scalar_value(TEMPERATURE, ENTROPY, "temperature", reference_temperature),
            slope(SLOPE, HEAT_FLUX, "temperature", dim),
        ),
        characterize=partial(_characterize, dim=dim, reference_temperature=reference_temperature),
    )


@dataclass(frozen=True, eq=False)
class Thermoelastic(PhaseLaw):
    """A material that deforms, expands, stores and conducts heat.

    .. code-block:: python

        Thermoelastic(LinearElastic.isotropic(70e3, 0.33), LinearConduction(237.0), 23e-6, 2.4)
        Thermoelastic(J2Plasticity(200e3, 0.3, 300.0), LinearConduction(50.0), 12e-6, 3.6)
        Thermoelastic.isotropic(lambda T: 210e3 - 60.0 * (T - 293.15), 0.3, 12e-6, 50.0, 3.6)

    Attributes:
        mechanics: Law of the mechanical strain, of small strain; or temperature ↦ elastic law.
        conduction: Law of conduction, which may depend on the temperature; what it stores does not count.
        expansion: Secant coefficient of expansion, 1/K: a number, the three principal values along the axes,
            a symmetric matrix of shape (3, 3), or temperature ↦ number.
        heat_capacity: Heat capacity c of a unit of volume at constant strain and the reference temperature;
            positive.

    Raises:
        InputError: A law is of another kind, or a number is not admissible.
    """

    mechanics: PhaseLaw | Callable[[Expr], ExpressionLaw]
    conduction: DiffusionLaw
    expansion: Number | Callable[[Expr], Expr]
    heat_capacity: float

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
        if not callable(self.expansion):
            object.__setattr__(self, "expansion", _checked_expansion(owner, self.expansion))
        object.__setattr__(
            self, "heat_capacity", checked(owner, "heat_capacity", self.heat_capacity, POSITIVE)
        )

    @classmethod
    def isotropic(
        cls,
        young: Property,
        poisson: Property,
        expansion: Property,
        conductivity: Property,
        heat_capacity: float,
    ) -> Thermoelastic:
        """Isotropic elasticity; each property but the heat capacity is a number or temperature ↦ formula.

        Args:
            young: Young's modulus, positive.
            poisson: Poisson's ratio, between -1 and 0.5.
            expansion: Secant coefficient of thermal expansion, 1/K.
            conductivity: Thermal conductivity.
            heat_capacity: Heat capacity of a unit of volume at constant strain, positive.
        """
        conduction = (
            NonlinearConduction(conductivity) if callable(conductivity) else LinearConduction(conductivity)
        )
        if callable(young) or callable(poisson):
            formulas = [p if callable(p) else partial(_constant, float(p)) for p in (young, poisson)]
            return cls(lambda T: _Isotropic(*(f(T) for f in formulas)), conduction, expansion, heat_capacity)
        return cls(LinearElastic.isotropic(young, poisson), conduction, expansion, heat_capacity)

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

    def history(self, size: int) -> dict[str, int]:
        """That of the law of the mechanical strain."""
        return self.mechanics.history(size) if isinstance(self.mechanics, PhaseLaw) else {}


def thermoelastic(
    young: float, poisson: float, expansion: Number, conductivity: Number, heat_capacity: float
) -> Thermoelastic:
    """Isotropic elasticity with thermal expansion, conduction and storage of heat.

    Args:
        young: Young's modulus, positive.
        poisson: Poisson's ratio, between -1 and 0.5.
        expansion: Coefficient of thermal expansion, 1/K: a number, three principal values along the axes,
            or a symmetric matrix of shape (3, 3).
        conductivity: Thermal conductivity: a number, principal values along the axes, or a symmetric matrix.
        heat_capacity: Heat capacity of a unit of volume at constant strain, positive.
    """
    mechanics = LinearElastic.isotropic(young, poisson)
    return Thermoelastic(mechanics, LinearConduction(conductivity), expansion, heat_capacity)


def thermoplastic(
    young: float,
    poisson: float,
    yield_stress: float,
    expansion: Number,
    conductivity: Number,
    heat_capacity: float,
    hardening: float = 0.0,
    kinematic_hardening: float = 0.0,
) -> Thermoelastic:
    """Von Mises plasticity with thermal expansion, conduction and storage of heat; plastic work is lost.

    Args:
        young: Young's modulus, positive.
        poisson: Poisson's ratio, between -1 and 0.5.
        yield_stress: Initial yield stress in uniaxial tension, positive.
        expansion: Coefficient of thermal expansion, 1/K: a number, three principal values along the axes,
            or a symmetric matrix of shape (3, 3).
        conductivity: Thermal conductivity: a number, principal values along the axes, or a symmetric matrix.
        heat_capacity: Heat capacity of a unit of volume at constant strain, positive.
        hardening: Isotropic hardening modulus, not negative.
        kinematic_hardening: Kinematic hardening modulus, not negative.
    """
    mechanics = J2Plasticity(young, poisson, yield_stress, hardening, kinematic_hardening)
    return Thermoelastic(mechanics, LinearConduction(conductivity), expansion, heat_capacity)


def thermoelastic_orthotropic(
    young_1: float,
    young_2: float,
    young_3: float,
    poisson_12: float,
    poisson_13: float,
    poisson_23: float,
    shear_12: float,
    shear_13: float,
    shear_23: float,
    expansion: Number,
    conductivity: Number,
    heat_capacity: float,
) -> Thermoelastic:
    """Orthotropic elasticity along the axes with thermal expansion, conduction and storage of heat.

    Args:
        young_1: Young's modulus along the first axis; likewise `young_2`, `young_3`; positive.
        young_2: See `young_1`.
        young_3: See `young_1`.
        poisson_12: Contraction of axis 2 under tension along axis 1; likewise `poisson_13`, `poisson_23`.
        poisson_13: See `poisson_12`.
        poisson_23: See `poisson_12`.
        shear_12: Shear modulus of the plane of axes 1 and 2; likewise `shear_13`, `shear_23`; positive.
        shear_13: See `shear_12`.
        shear_23: See `shear_12`.
        expansion: Coefficients of thermal expansion along the axes, 1/K, a number where they are equal, or a
            symmetric matrix of shape (3, 3).
        conductivity: Thermal conductivities along the axes, a number, or a symmetric matrix.
        heat_capacity: Heat capacity of a unit of volume at constant strain, positive.
    """
    mechanics = LinearElastic.orthotropic(
        young_1, young_2, young_3, poisson_12, poisson_13, poisson_23, shear_12, shear_13, shear_23
    )
    return Thermoelastic(mechanics, LinearConduction(conductivity), expansion, heat_capacity)


@dataclass(frozen=True, eq=False)
class _Isotropic(ExpressionLaw):
    """Isotropic elasticity with moduli that are UFL expressions."""

    young: Any
    poisson: Any

    def flux(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> Expr:
        """Stress."""
        bulk, shear = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        identity = ufl.as_vector([1.0, 1.0, 1.0] + [0.0] * (gradient.ufl_shape[0] - 3))
        volume = gradient[0] + gradient[1] + gradient[2]
        return (bulk - 2.0 / 3.0 * shear) * volume * identity + 2.0 * shear * gradient

    def admissible(self, gradient: Expr) -> dict[str, Expr]:
        """Positive moduli."""
        moduli = {"Young's modulus": self.young, "1 + poisson": 1.0 + self.poisson}
        moduli["1 - 2 poisson"] = 1.0 - 2.0 * self.poisson
        return {name: ufl.as_ufl(value) for name, value in moduli.items()}


def thermal_strain(expansion: Any, change: Expr, size: int) -> Expr:
    r"""Strain :math:`\alpha\,(T - T_0)` in Mandel components, a UFL vector.

    Args:
        expansion: α: a scalar, or a vector of six Mandel components.
        change: T - T₀.
        size: Number of components, 4 in plane strain or 6.
    """
    pairs = component_indices(size)
    if getattr(expansion, "ufl_shape", ()) == ():
        return ufl.as_vector([expansion * change if i == j else 0.0 * change for i, j in pairs])
    names = component_names(6)
    return ufl.as_vector([expansion[names.index(name)] * change for name in component_names(size)])


def _constant(value: float, temperature: Expr) -> Expr:
    return ufl.as_ufl(value)


def _checked_expansion(owner: str, value: Number) -> float | Array:
    """A number, or six Mandel components.

    Raises:
        InputError: It is no number, no three numbers and no symmetric matrix.
    """
    if np.ndim(value) == 0:
        return checked(owner, "expansion", value, FINITE)
    if np.shape(value) not in ((3,), (3, 3)):
        raise InputError(
            f"{owner}: expansion has shape {np.shape(value)}; it must be a number, three principal values, "
            "or a symmetric matrix of shape (3, 3)"
        )
    given = checked_array(owner, "expansion", value, np.shape(value))
    matrix = np.diag(given) if given.ndim == 1 else given
    if not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-8 * np.abs(matrix).max()):
        raise InputError(f"{owner}: expansion is not symmetric: {given.tolist()}")
    factors = [1.0 if i == j else np.sqrt(2.0) for i, j in component_indices(6)]
    return np.array([f * matrix[i, j] for (i, j), f in zip(component_indices(6), factors, strict=True)])


def _characterize(
    effective: Array,
    phases: list[Array],
    fractions: list[float],
    boundary: str,
    *,
    dim: int,
    reference_temperature: float,
) -> dict[str, Any]:
    r"""Effective expansion and heat capacities, and what stiffness and conductivity have by themselves.

    .. math:: \alpha = -C^{-1}\,\partial_T\sigma, \qquad c_\varepsilon = T_0\,\partial_T\eta, \qquad
        c_\sigma = c_\varepsilon + T_0\,\alpha : C : \alpha

    In the plane the strain along the third axis is zero: α is the expansion of a body that is held there.
    Numbers that a singular stiffness does not have are None.
    """
    strain, value, heat = slice(0, -dim - 1), -dim - 1, slice(-dim, None)
    mechanics = small_strain_kinematics(dim)
    stiffness, pressure = effective[strain, strain], effective[strain, value]
    capacity = reference_temperature * float(effective[value, value])
    expansion, free = None, None
    if not len(null_directions(stiffness)):
        solved = -np.linalg.solve(stiffness, pressure)
        expansion = (solved * mechanics.scale).tolist()
        free = capacity + reference_temperature * float(effective[value, strain] @ solved)
    return {
        "expansion": expansion,
        "heat_capacity_constant_strain": capacity,
        "heat_capacity_constant_stress": free,
        "reference_temperature": reference_temperature,
        "mechanics": mechanics.characterize(
            stiffness, [phase[strain, strain] for phase in phases], fractions, boundary
        ),
        "conduction": characterize_diffusion(
            effective[heat, heat], [phase[heat, heat] for phase in phases], fractions, boundary
        ),
    }
