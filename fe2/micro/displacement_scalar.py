r"""A cell that deforms while a scalar is stored and conducted: heat, a fluid in pores, a solute.

With the scalar :math:`\varphi` of the macroscopic point (a temperature, a pressure, a chemical potential),
uniform in the cell for what is stored and for the stress,

.. math::

    \int_Y \sigma(\varepsilon(u), \varphi) : \varepsilon(v)\,\mathrm{d}x = 0, \qquad
    \int_Y j(\varepsilon(u), \varphi, \nabla\varphi)\cdot\nabla q\,\mathrm{d}x = 0, \qquad
    \bar\eta = \frac{1}{|Y|}\int_Y \eta(\varepsilon(u), \varphi)\,\mathrm{d}x.

The cell is small against the distance over which the scalar evens out in a time step: its field is the steady
one of the macroscopic gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.errors import InputError
from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.cell_law import finer_cell
from fe2.micro.form import CellForm
from fe2.micro.newton import NewtonOptions
from fe2.micro.periodicity import TOLERANCE
from fe2.micro.phase_rve import mechanical_rve
from fe2.micro.phases import PhaseTerms, check_phases, conducts, element_degree
from fe2.micro.rve import RVE
from fe2.micro.several_fields import SeveralFields
from fe2.micro.subcell import node_of_each_part, pieces_of
from fe2.physics.kinematics import Kinematics
from fe2.physics.law import PhaseLaw
from fe2.physics.material_field import MaterialField
from fe2.physics.void import Void

type AddPhase = Callable[[PhaseTerms, str, PhaseLaw, Expr, Expr], tuple[Expr, Expr]]
"""(terms, phase, law, value, its gradient) ↦ (what is stored, flux j); it adds the work of the stress."""


@dataclass(frozen=True)
class Filling:
    """What fills holes of a cell without any element, and acts on their walls.

    Attributes:
        load: Adds its work on fluctuations as a work in a phase around it, and what is stored so.
        direct: The part of the cell that carries a load ↦ what it answers to the macroscopic gradient, see
            :attr:`~fe2.micro.form.CellForm.direct`.
    """

    load: Callable[[PhaseTerms, str], None]
    direct: Callable[[Cell], npt.NDArray[np.float64]]


def displacement_scalar_rve(
    cell: Cell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    kind: type[PhaseLaw],
    add: AddPhase,
    *,
    filling: Filling | None = None,
    boundary: str | BoundaryCondition,
    degree: int | None,
    quadrature_degree: int | None,
    options: NewtonOptions | None,
) -> RVE:
    """Representative volume element with the blocks strain, value and gradient of the scalar, in this order.

    Args:
        cell: The geometry.
        kinematics: The three blocks.
        laws: A law for each phase, by name.
        kind: What laws have to be, where they are no voids.
        add: Adds the work of a phase's stress; what it stores, and its flux. The gradient is a UFL variable.
        filling: What fills holes without elements.
        boundary: "periodic", "linear" or "uniform_flux", for both fields, or a BoundaryCondition.
        degree: Degree of the Lagrange elements of both fields, that of the mesh by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, or an option is not admissible.
    """
    order = element_degree(cell, degree)
    check_phases(cell, kinematics, laws, order)
    for name, law in laws.items():
        if finer_cell(law) is None and not isinstance(given := law_of(law), kind | Void):
            raise InputError(
                f"the law of phase {name!r} is a {type(given).__name__}; here it is {kind.__name__} or Void"
            )

    def form(part: Cell, kinematics: Kinematics, laws: Mapping[str, PhaseLaw]) -> CellForm:
        cell_fields = SeveralFields(part, kinematics, degree=order, quadrature_degree=quadrature_degree)
        made = _form(cell_fields, laws, add, filling, boundary)
        return made if filling is None else replace(made, direct=filling.direct(part))

    return mechanical_rve(cell, kinematics, laws, form, boundary=boundary, degree=order, options=options)


def law_of(law: PhaseLaw) -> PhaseLaw:
    """The law, or the one of a field of materials that stands for all."""
    return law.law if isinstance(law, MaterialField) else law


def _form(
    cell_fields: SeveralFields,
    laws: Mapping[str, PhaseLaw],
    add: AddPhase,
    filling: Filling | None,
    boundary: str | BoundaryCondition,
) -> CellForm:
    terms = cell_fields.terms
    cell, (_, value, slope) = terms.cell, terms.kinematics.blocks
    field, test = cell_fields.fields[slope.field], cell_fields.tests[slope.field]
    solids, conducting = {name: laws[name] for name in cell.names}, []
    for phase, law in solids.items():
        if filling is not None:
            filling.load(terms, phase)
        if finer_cell(law) is not None:
            terms.add_blocks(phase, law, cell_fields.fields, cell_fields.tests)
            conducting.append(phase)
            continue
        terms.is_symmetric = terms.is_symmetric and law.symmetric
        gradient = ufl.variable(ufl.grad(field))
        stored, flux = add(terms, phase, law, terms.values[value.name], gradient)
        terms.store(phase, value.name, stored)
        if conducts(phase, law):
            conducting.append(phase)
            tangent = ufl.diff(flux, gradient)
            terms.add_work(phase, ufl.dot(flux, ufl.grad(test)), flux, tangent, slope, ufl.grad(field))
    space, dofs = cell_fields.spaces[slope.field]
    return cell_fields.form(solids, dofs[without_fluctuation(cell, space, conducting, boundary)])


def without_fluctuation(
    cell: Cell, space: fem.FunctionSpace, conducting: list[str], boundary: str | BoundaryCondition
) -> npt.NDArray[np.int64]:
    """Nodes of what conducts nothing, and one of each part of the rest, where there are several.

    What does not touch conducts nothing to each other.
    """
    elements = np.sort(np.concatenate([np.zeros(0, np.int32), *(cell.cells_of(n) for n in conducting)]))
    nodes, whole = space.dofmap.list, len(elements) == len(space.dofmap.list)
    idle = np.setdiff1d(np.arange(int(nodes.max()) + 1), nodes[elements])
    if not len(elements):
        return idle
    pieces = pieces_of(cell, elements, periodic=boundary == "periodic")
    if whole and pieces.count == 1:
        return idle
    part, afloat = pieces.part_of_cell, np.arange(pieces.count)
    if boundary == "linear":
        faces = np.abs(np.abs(space.tabulate_dof_coordinates()[:, : cell.dim]) - cell.period / 2)
        held = np.any(np.any(faces < TOLERANCE * cell.period, axis=1)[nodes[elements]], axis=1)
        afloat = np.setdiff1d(afloat, part[held])
    numbers = np.full(len(nodes), -1)
    numbers[elements] = np.where(np.isin(part, afloat), np.searchsorted(afloat, part), -1)
    return np.concatenate([idle, node_of_each_part(cell, space, numbers, len(afloat))])
