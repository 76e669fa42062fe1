"""Thermoelasticity in a cell: displacement and temperature, with the macroscopic temperature a parameter.

The cell is small against the distance over which heat diffuses in a time step: its temperature is the steady
one of the macroscopic gradient, and all phases expand, store and conduct at the macroscopic temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.errors import InputError
from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm
from fe2.micro.newton import NewtonOptions
from fe2.micro.phase_rve import mechanical_rve
from fe2.micro.phases import PhaseTerms, check_phases, default_quadrature_degree, element_degree
from fe2.micro.rve import RVE
from fe2.micro.subcell import node_of_each_part, pieces_of
from fe2.physics.checks import POSITIVE, checked
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw, PointLaw
from fe2.physics.material_field import MaterialField
from fe2.physics.thermoelasticity import (
    ROOM_TEMPERATURE,
    SLOPE,
    STRAIN,
    TEMPERATURE,
    Thermoelastic,
    thermal_strain,
    thermoelastic_kinematics,
)
from fe2.physics.void import Void
from fe2.subspaces import subspaces


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
    kinematics = thermoelastic_kinematics(cell.dim, reference_temperature)
    order = element_degree(cell, degree)
    check_phases(cell, kinematics, laws, order)
    for name, law in laws.items():
        if not isinstance(kind := _kind(law), Thermoelastic | Void):
            raise InputError(
                f"the law of phase {name!r} is a {type(kind).__name__}; here it is Thermoelastic or Void"
            )

    def form(part: Cell, kinematics: Kinematics, laws: Mapping[str, PhaseLaw]) -> CellForm:
        quadrature = quadrature_degree or default_quadrature_degree(part, order)
        materials = {name: law for name, law in laws.items() if not isinstance(law, Void)}
        return _form(part, kinematics, materials, reference_temperature, order, quadrature, boundary)

    return mechanical_rve(cell, kinematics, laws, form, boundary=boundary, degree=order, options=options)


def _form(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    reference: float,
    degree: int,
    quadrature: int,
    boundary: str | BoundaryCondition,
) -> CellForm:
    shape = cell.mesh.basix_cell()
    elements = [basix.ufl.element("Lagrange", shape, degree, shape=s) for s in ((cell.dim,), ())]
    space = fem.functionspace(cell.mesh, basix.ufl.mixed_element(elements))
    unknown = fem.Function(space, name="u")
    (u, heat), (v, q) = ufl.split(unknown), ufl.TestFunctions(space)
    strain, slope = kinematics.block(STRAIN), kinematics.block(SLOPE)
    terms = PhaseTerms(
        cell=cell,
        kinematics=kinematics,
        block=strain,
        unknown=unknown,
        gradient=strain.local(u),
        test_gradient=strain.local(v),
        quadrature=quadrature,
    )
    temperature, origin = terms.values[TEMPERATURE], terms.constant(reference)
    for phase in cell.names:
        law = laws[phase]
        terms.is_symmetric = terms.is_symmetric and law.symmetric
        terms.store(phase, TEMPERATURE, _add_mechanics(terms, phase, law, temperature, origin))
        conduction = terms.with_parameters(phase, law).conduction
        gradient = ufl.variable(ufl.grad(heat))
        flux = conduction.conducted(temperature, gradient)
        terms.demand(phase, conduction.admissible_value(temperature))
        terms.add_work(
            phase, ufl.dot(flux, ufl.grad(q)), flux, ufl.diff(flux, gradient), slope, ufl.grad(heat)
        )
    (displacements, moved), (temperatures, warmed) = subspaces(space)
    modes = np.zeros((len(unknown.x.array), kinematics.size))
    for block, part, dofs in ((strain, displacements, moved), (slope, temperatures, warmed)):
        assert block.modes is not None
        nodes = part.tabulate_dof_coordinates()[:, : cell.dim]
        modes[dofs, kinematics.slices[block.name]] = block.modes(nodes).reshape(len(dofs), -1)
    fixed = np.zeros(len(modes), dtype=bool)
    fixed[warmed[_one_of_each_part(cell, temperatures, boundary)]] = True
    return replace(terms.form(modes, fixed), laws=laws)


def _add_mechanics(terms: PhaseTerms, phase: str, law: PhaseLaw, temperature: Expr, origin: Expr) -> Expr:
    r"""Add the work of the stress of a phase; its entropy."""
    theta, size = ufl.variable(temperature), terms.block.local_size
    kind, symbolic = _kind(law), terms.with_parameters(phase, law)
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


def _kind(law: PhaseLaw) -> Any:
    """The law, or the one of a field of materials that stands for all."""
    return law.law if isinstance(law, MaterialField) else law


def _mechanics(law: Thermoelastic) -> PhaseLaw:
    assert isinstance(law.mechanics, PhaseLaw)
    return law.mechanics


def _elastic_stiffness(phase: str, law: PhaseLaw, terms: PhaseTerms, size: int) -> Expr:
    """Stiffness of a virgin material, a UFL matrix of the material's constants."""
    history = law.history(size)
    if isinstance(_kind(law), PointLaw):
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


def _one_of_each_part(
    cell: Cell, temperatures: fem.FunctionSpace, boundary: str | BoundaryCondition
) -> npt.NDArray[np.int64]:
    """A node of each part, where there are several: what does not touch conducts nothing to each other."""
    pieces = pieces_of(
        cell, np.arange(len(cell.phases.values), dtype=np.int32), periodic=boundary == "periodic"
    )
    if pieces.count == 1 or boundary == "linear":
        return np.zeros(0, dtype=np.int64)
    return node_of_each_part(cell, temperatures, pieces.part_of_cell, pieces.count)
