"""Materials of thermoelasticity, by the parameters that case files name."""

from __future__ import annotations

import numpy.typing as npt

from fe2.physics.checks import NOT_NEGATIVE, POISSON, POSITIVE
from fe2.physics.elasticity import LinearElastic
from fe2.physics.law_of_temperature import law_of_properties
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.temperature import Property
from fe2.physics.thermoelasticity import Thermoelastic, conduction_of

type Tensor = Property | npt.ArrayLike
"""A property that may have a direction: three principal values, or a symmetric matrix, besides."""


def thermoelastic(
    young: Property,
    poisson: Property,
    expansion: Tensor,
    conductivity: Tensor,
    heat_capacity: Property,
    stress_free_temperature: float | None = None,
) -> Thermoelastic:
    """Isotropic elasticity with thermal expansion, conduction and storage of heat.

    A table `{ temperature = [...], value = [...] }` in the place of a number is linear between its
    temperatures and constant beyond them; in scripts a function of the temperature may stand there.

    Args:
        young: Young's modulus, positive.
        poisson: Poisson's ratio, between -1 and 0.5.
        expansion: Secant coefficient of thermal expansion from the stress-free temperature, 1/K: a number,
            three principal values along the axes, or a symmetric matrix of shape (3, 3).
        conductivity: Thermal conductivity: a number, principal values along the axes, or a symmetric matrix.
        heat_capacity: Heat capacity of a unit of volume at constant strain, positive.
        stress_free_temperature: Absolute temperature at which the material is free of stress without strain;
            the cell's reference temperature by default.
    """
    return Thermoelastic.isotropic(
        young, poisson, expansion, conductivity, heat_capacity, stress_free_temperature
    )


def thermoplastic(
    young: Property,
    poisson: Property,
    yield_stress: Property,
    expansion: Tensor,
    conductivity: Tensor,
    heat_capacity: Property,
    hardening: Property = 0.0,
    kinematic_hardening: Property = 0.0,
    taylor_quinney: float = 0.0,
    stress_free_temperature: float | None = None,
) -> Thermoelastic:
    """Von Mises plasticity with thermal expansion, conduction and storage of heat.

    Args:
        young: Young's modulus, positive.
        poisson: Poisson's ratio, between -1 and 0.5.
        yield_stress: Initial yield stress in uniaxial tension, positive.
        expansion: Secant coefficient of thermal expansion from the stress-free temperature, 1/K: a number,
            three principal values along the axes, or a symmetric matrix of shape (3, 3).
        conductivity: Thermal conductivity: a number, principal values along the axes, or a symmetric matrix.
        heat_capacity: Heat capacity of a unit of volume at constant strain, positive.
        hardening: Isotropic hardening modulus, not negative.
        kinematic_hardening: Kinematic hardening modulus, not negative.
        taylor_quinney: Share of the plastic power that becomes heat, between 0 and 1; the rest is lost.
        stress_free_temperature: Absolute temperature at which the material is free of stress without strain;
            the cell's reference temperature by default.
    """
    mechanics = law_of_properties(
        "thermoplastic",
        J2Plasticity,
        J2Plasticity,
        young=(young, POSITIVE),
        poisson=(poisson, POISSON),
        yield_stress=(yield_stress, POSITIVE),
        hardening=(hardening, NOT_NEGATIVE),
        kinematic_hardening=(kinematic_hardening, NOT_NEGATIVE),
    )
    conduction = conduction_of("thermoplastic", conductivity)
    return Thermoelastic(
        mechanics, conduction, expansion, heat_capacity, taylor_quinney, stress_free_temperature
    )


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
    expansion: Tensor,
    conductivity: Tensor,
    heat_capacity: Property,
    stress_free_temperature: float | None = None,
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
        stress_free_temperature: Absolute temperature at which the material is free of stress without strain;
            the cell's reference temperature by default.
    """
    mechanics = LinearElastic.orthotropic(
        young_1, young_2, young_3, poisson_12, poisson_13, poisson_23, shear_12, shear_13, shear_23
    )
    conduction = conduction_of("thermoelastic_orthotropic", conductivity)
    return Thermoelastic(
        mechanics, conduction, expansion, heat_capacity, stress_free_temperature=stress_free_temperature
    )
