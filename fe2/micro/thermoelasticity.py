"""Thermoelasticity in a cell: displacement and temperature, with the macroscopic temperature a parameter.

The cell is small against the distance over which heat diffuses in a time step: its temperature is the steady
one of the macroscopic gradient, and all phases expand, store and conduct at the macroscopic temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import ufl
from ufl.core.expr import Expr

from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.displacement_scalar import displacement_scalar_rve, law_of
from fe2.micro.newton import NewtonOptions
from fe2.micro.phases import PhaseTerms
from fe2.micro.rve import RVE
from fe2.physics.checks import POSITIVE, checked
from fe2.physics.law import PhaseLaw, PointLaw
from fe2.physics.material_field import MaterialField
from fe2.physics.thermoelasticity import (
    ROOM_TEMPERATURE,
    Thermoelastic,
    thermal_strain,
    thermoelastic_kinematics,
)


def thermoelasticity(
    cell: Cell,
    laws: Mapping[str, PhaseLaw],
    *,
    reference_temperature: float = ROOM_TEMPERATURE,
    boundary: str | BoundaryCondition = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Representative volume element that deforms, expands, stores and conducts heat.

    With the temperature :math:`\theta` of the macroscopic point, uniform in the cell,

    .. math::

        \int_Y \sigma(\varepsilon(u), \theta) : \varepsilon(v)\,\mathrm{d}x = 0, \qquad
        \int_Y K(\theta)\,\nabla T\cdot\nabla q\,\mathrm{d}x = 0, \qquad
        \bar\eta = \frac{1}{|Y|}\int_Y \eta(\varepsilon(u), \theta)\,\mathrm{d}x.

    The heat flux is the opposite of the physical one, as in :func:`~fe2.diffusion`.

    Args:
        cell: The geometry.
        laws: A :class:`~fe2.Thermoelastic` or a :class:`~fe2.Void` for each phase, by name.
        reference_temperature: Absolute temperature T₀ of a virgin cell, which is free of stress; positive.
        boundary: "periodic", "linear" or "uniform_flux", for both fields, or a BoundaryCondition.
        degree: Degree of the Lagrange elements of displacement and temperature, that of the mesh by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, or an option is not admissible.
    """
    checked("thermoelasticity", "reference_temperature", reference_temperature, POSITIVE)
    return displacement_scalar_rve(
        cell,
        thermoelastic_kinematics(cell.dim, reference_temperature),
        laws,
        Thermoelastic,
        partial(_add_phase, reference=reference_temperature),
        boundary=boundary,
        degree=degree,
        quadrature_degree=quadrature_degree,
        options=options,
    )


def _add_phase(
    terms: PhaseTerms, phase: str, law: PhaseLaw, temperature: Expr, gradient: Expr, reference: float
) -> tuple[Expr, Expr]:
    """Add the work of the stress of a phase; its entropy and heat flux."""
    entropy = _add_mechanics(terms, phase, law, temperature, terms.constant(reference))
    conduction = terms.with_parameters(phase, law).conduction
    terms.demand(phase, conduction.admissible_value(temperature))
    return entropy, conduction.conducted(temperature, gradient)


def _add_mechanics(terms: PhaseTerms, phase: str, law: PhaseLaw, temperature: Expr, origin: Expr) -> Expr:
    r"""Add the work of the stress of a phase; its entropy."""
    theta, size = ufl.variable(temperature), terms.block.local_size
    kind: Any = law_of(law)
    symbolic = terms.with_parameters(phase, law)
    given: Any = kind.expansion
    alpha = ufl.as_ufl(given(theta) if callable(given) else symbolic.expansion)
    thermal = thermal_strain(alpha, theta - origin, size)
    rate = ufl.as_vector([ufl.diff(thermal[i], theta) for i in range(size)])
    mechanical = terms.gradient - thermal
    if isinstance(kind.mechanics, PhaseLaw):
        of_phase = law.map(_mechanics) if isinstance(law, MaterialField) else kind.mechanics
        stress, softening = terms.add(phase, of_phase, mechanical), ufl.as_ufl(0.0)
        stiffness = _elastic_stiffness(phase, of_phase, terms, size)
    else:
        elastic = kind.mechanics(theta)
        stress = terms.add(phase, elastic, mechanical)
        # -∂W/∂T at constant mechanical strain, of W = σ · ε_m / 2
        held = ufl.variable(mechanical)
        softening = -0.5 * ufl.dot(mechanical, ufl.diff(elastic.flux(held, {}, terms.dt), theta))
        stiffness = _elastic_stiffness(phase, kind.mechanics(origin), terms, size)
    start = ufl.variable(origin)
    first = ufl.as_ufl(given(start)) if callable(given) else alpha
    at_rest = thermal_strain(first, ufl.as_ufl(1.0), size)
    capacity = symbolic.heat_capacity / origin + ufl.dot(at_rest, ufl.dot(stiffness, at_rest))
    return ufl.dot(rate, stress) + softening + capacity * (theta - origin)


def _mechanics(law: Thermoelastic) -> PhaseLaw:
    assert isinstance(law.mechanics, PhaseLaw)
    return law.mechanics


def _elastic_stiffness(phase: str, law: PhaseLaw, terms: PhaseTerms, size: int) -> Expr:
    """Stiffness of a virgin material, a UFL matrix of the material's constants."""
    history = law.history(size)
    if isinstance(law_of(law), PointLaw):
        rest = {name: np.zeros((1, count)) for name, count in history.items()}
        strains = np.zeros((1, size))
        return terms.of_materials(
            phase, law, lambda material: material.respond(strains, rest, 0.0).tangent[0]
        )
    rest = {name: _zeros(count) for name, count in history.items()}
    strain = ufl.variable(terms.constant(np.zeros(size)))
    return ufl.diff(terms.with_parameters(phase, law).flux(strain, rest, terms.dt), strain)


def _zeros(count: int) -> Expr:
    return ufl.as_ufl(0.0) if count == 1 else ufl.as_vector([0.0] * count)
