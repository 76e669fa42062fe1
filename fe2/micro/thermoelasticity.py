"""Thermoelasticity in a cell: displacement and temperature, with the macroscopic temperature a parameter.

The cell is small against the distance over which heat diffuses in a time step: its temperature is the steady
one of the macroscopic gradient, and all phases expand, store and conduct at the macroscopic temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
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
from fe2.physics.material_field import MaterialField, initial_values
from fe2.physics.symmetric_tensor import tensor_times
from fe2.physics.temperature import at, integral
from fe2.physics.thermoelasticity import (
    PLASTIC,
    ROOM_TEMPERATURE,
    Thermoelastic,
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
    r"""Add the work of the stress of a phase; the entropy that it was supplied with."""
    theta, size = ufl.variable(temperature), terms.block.local_size
    kind: Any = law_of(law)
    symbolic = terms.with_parameters(phase, law)
    start = origin if kind.stress_free_temperature is None else symbolic.stress_free_temperature
    thermal = tensor_times(ufl.as_ufl(at(symbolic.expansion, theta)), theta - start, size)
    rate = ufl.as_vector([ufl.diff(thermal[i], theta) for i in range(size)])
    mechanical = terms.gradient - thermal
    of_phase = _mechanics(law, theta)
    stress = terms.add(phase, of_phase, mechanical)
    entropy = ufl.dot(rate, stress)
    if isinstance(kind.mechanics, PhaseLaw):
        stiffness = _elastic_stiffness(phase, of_phase, terms, size)
    else:
        elastic = getattr(kind.mechanics, "elastic", kind.mechanics)
        slope = ufl.diff(_elastic_stiffness(phase, elastic(theta), terms, size), theta)
        strain = mechanical - _plastic_strain(terms, phase, of_phase, mechanical, stress)
        entropy -= 0.5 * ufl.dot(strain, ufl.dot(slope, strain))
        stiffness = _elastic_stiffness(phase, elastic(origin), terms, size)
    first = tensor_times(ufl.as_ufl(at(symbolic.expansion, origin)), ufl.as_ufl(1.0), size)
    entropy += integral(symbolic.heat_capacity, origin, theta) / origin
    entropy += ufl.dot(first, ufl.dot(stiffness, first)) * (theta - origin)
    if not any(material.heating for material in law.materials if isinstance(material, Thermoelastic)):
        return entropy
    change = (
        _plastic_strain(terms, phase, of_phase, mechanical, stress) - terms.variable(phase, PLASTIC).value
    )
    heat = symbolic.taylor_quinney * ufl.dot(stress, change)
    return entropy - terms.accumulate(phase, "plastic_heat", heat) / origin


def _mechanics(law: PhaseLaw, temperature: Expr) -> PhaseLaw:
    """The law of the mechanical strain, at a temperature where it depends on it."""
    kind: Any = law_of(law)
    if not isinstance(kind.mechanics, PhaseLaw):
        return kind.mechanics(temperature)
    return law.map(lambda material: material.mechanics) if isinstance(law, MaterialField) else kind.mechanics


def _plastic_strain(terms: PhaseTerms, phase: str, law: PhaseLaw, mechanical: Expr, stress: Expr) -> Expr:
    """Plastic strain at the end of the step, zero of a law that has none."""
    size = terms.block.local_size
    if PLASTIC not in law.history(size):
        return ufl.zero(size)
    strain = terms.variable(phase, PLASTIC).update
    if strain is not None:
        return strain

    # what a point law computes does not stand in the form: it is what is not elastic
    def compliance(material: Any) -> npt.NDArray[np.float64]:
        return np.linalg.inv(_virgin_tangent(material, size))

    return mechanical - ufl.dot(terms.of_materials(phase, law, compliance), stress)


def _elastic_stiffness(phase: str, law: PhaseLaw, terms: PhaseTerms, size: int) -> Expr:
    """Stiffness of a virgin material, a UFL matrix of the material's constants."""
    if isinstance(law_of(law), PointLaw):
        return terms.of_materials(phase, law, lambda material: _virgin_tangent(material, size))
    rest = {name: _symbolic(values[0]) for name, values in initial_values(law, size).items()}
    strain = ufl.variable(terms.constant(np.zeros(size)))
    return ufl.diff(terms.with_parameters(phase, law).flux(strain, rest, terms.dt), strain)


def _virgin_tangent(law: PointLaw, size: int) -> npt.NDArray[np.float64]:
    return law.respond(np.zeros((1, size)), initial_values(law, size), 0.0).tangent[0]


def _symbolic(values: npt.NDArray[np.float64]) -> Expr:
    return ufl.as_ufl(float(values[0])) if len(values) == 1 else ufl.as_vector(values.tolist())
