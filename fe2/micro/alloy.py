"""A cell of solid solutions of several components, each with a chemical potential of its own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import ufl

from fe2.errors import InputError
from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.displacement_scalar import without_fluctuation
from fe2.micro.form import CellForm
from fe2.micro.newton import NewtonOptions
from fe2.micro.phase_rve import mechanical_rve
from fe2.micro.phases import PhaseTerms, check_phases, element_degree
from fe2.micro.rve import RVE
from fe2.micro.several_fields import SeveralFields
from fe2.physics.alloy import Alloy, alloy_kinematics
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw
from fe2.physics.void import Void


def alloy(
    cell: Cell,
    laws: Mapping[str, PhaseLaw],
    *,
    components: int | None = None,
    boundary: str | BoundaryCondition = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    """Representative volume element that deforms, swells, holds and conducts several components.

    As :func:`~fe2.chemomechanics`, with a value and a gradient for each component.

    Args:
        cell: The geometry.
        laws: An :class:`~fe2.Alloy` or a :class:`~fe2.Void` for each phase, by name, of the same components.
        components: Number of components; by default that of the laws.
        boundary: "periodic", "linear" or "uniform_flux", for all fields, or a BoundaryCondition.
        degree: Degree of the Lagrange elements of all fields, that of the mesh by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, or an option is not admissible.
    """
    counts = {name: law.components for name, law in laws.items() if isinstance(law, Alloy)}
    for name, law in laws.items():
        if not isinstance(law, Alloy | Void):
            raise InputError(f"the law of phase {name!r} is a {type(law).__name__}; here it is Alloy or Void")
    count = next(iter(counts.values()), 1) if components is None else components
    for name, own in counts.items():
        if own != count:
            raise InputError(f"the law of phase {name!r} has {own} components, and the cell has {count}")
    kinematics, order = alloy_kinematics(cell.dim, count), element_degree(cell, degree)
    check_phases(cell, kinematics, laws, order)

    def form(part: Cell, kinematics: Kinematics, laws: Mapping[str, PhaseLaw]) -> CellForm:
        cell_fields = SeveralFields(part, kinematics, degree=order, quadrature_degree=quadrature_degree)
        for phase in part.names:
            _add_phase(cell_fields, cell_fields.terms, phase, laws[phase])
        fixed = [
            dofs[without_fluctuation(part, space, list(part.names), boundary)]
            for name, (space, dofs) in cell_fields.spaces.items()
            if not kinematics.fields[name]
        ]
        return cell_fields.form(laws, np.concatenate(fixed))

    return mechanical_rve(cell, kinematics, laws, form, boundary=boundary, degree=order, options=options)


def _add_phase(cell_fields: SeveralFields, terms: PhaseTerms, phase: str, law: PhaseLaw) -> None:
    """Add the work of the stress and of the fluxes of a phase, and what it holds."""
    size, blocks = terms.block.local_size, terms.kinematics.blocks
    values, slopes = blocks[1::2], blocks[2::2]
    seen = [*(terms.gradient[i] for i in range(size)), *(terms.values[value.name] for value in values)]
    answer, tangent = terms.evaluated(phase, law, ufl.as_vector(seen))
    stress = ufl.as_vector([answer[i] for i in range(size)])
    stiffness = ufl.as_matrix([[tangent[i, j] for j in range(size)] for i in range(size)])
    terms.add_work(phase, ufl.dot(stress, terms.test_gradient), stress, stiffness)
    symbolic = terms.with_parameters(phase, law)
    for number, (value, slope) in enumerate(zip(values, slopes, strict=True)):
        held, gradient = answer[size + number], ufl.variable(ufl.grad(cell_fields.fields[slope.field]))
        terms.store(phase, value.name, held)
        flux = symbolic.conducted(number, held, gradient)
        work = ufl.dot(flux, ufl.grad(cell_fields.tests[slope.field]))
        terms.add_work(phase, work, flux, ufl.diff(flux, gradient), slope, gradient)
