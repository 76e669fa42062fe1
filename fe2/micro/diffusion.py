r"""Conduction and diffusion in a cell.

Where a cell receives the value of the field, that value is a parameter :math:`\theta` of the cell, uniform in
it, beside the field whose gradient drives the flux. What is stored in a unit of time is conjugate to it:

.. math:: r(T, \theta; v) = \int_Y K(\theta)\,\nabla T\cdot\nabla v\,\mathrm{d}x, \qquad
    \bar q(\theta) = \frac{1}{|Y|}\int_Y \frac{h(\theta) - h_n}{\Delta t}\,\mathrm{d}x

by backward Euler, with the enthalpy :math:`h_n` at the beginning of the step as history. A step without
length stores nothing: it gives the steady flux, and the enthalpy of an initial value.

This is the limit of a cell that is small against the distance over which the field changes: the
phases see the macroscopic value and store alike everywhere, whatever the size of the cell. The first
moment of the storage, which would couple storage and gradient, is of the order of the cell's size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal, get_args

import basix.ufl
import numpy as np
import ufl
from dolfinx import fem

from fe2.arrays import Array, Ints, Mask
from fe2.errors import InputError
from fe2.micro.boundary import BoundaryCondition
from fe2.micro.cell import Cell
from fe2.micro.cell_law import finer_cell
from fe2.micro.contact import Contact, contact_copies, contact_term, interface_moduli, resisting_interfaces
from fe2.micro.corner_contacts import CornerContacts, contacts_of_elements, contacts_of_voxels
from fe2.micro.form import CellForm
from fe2.micro.grid_parts import FlowingVoxels, connected_voxels, flowing_voxels
from fe2.micro.image_cell import ImageCell
from fe2.micro.image_rve import ImageRVE, answers_on_grid
from fe2.micro.isolated import warn_of_isolated
from fe2.micro.newton import NewtonOptions
from fe2.micro.phases import PhaseTerms, check_phases, conducts, default_quadrature_degree, element_degree
from fe2.micro.rve import RVE
from fe2.micro.subcell import Subcell, flowing_part, in_one_part, node_of_each_part, pieces_of, shares
from fe2.micro.voxel_memory import VoxelField, check_voxel_memory
from fe2.physics.checks import FINITE, checked
from fe2.physics.conduction import DiffusionLaw
from fe2.physics.diffusion import VALUE, diffusion_kinematics, value_diffusion_kinematics, with_structure
from fe2.physics.kinematics import Kinematics, reporting
from fe2.physics.law import PhaseLaw
from fe2.physics.material_field import MaterialField
from fe2.subspaces import subspaces

type Connection = Literal["nodes", "faces"]


def diffusion(
    cell: Cell,
    laws: Mapping[str, PhaseLaw],
    *,
    value: bool = False,
    initial_value: float = 0.0,
    contact: Contact | None = None,
    connection: Connection = "nodes",
    boundary: str | BoundaryCondition = "periodic",
    degree: int | None = None,
    quadrature_degree: int | None = None,
    options: NewtonOptions | None = None,
) -> RVE:
    r"""Representative volume element for conduction or diffusion of a scalar.

    The flux is :math:`s = \langle K\,\nabla T\rangle`, the opposite of the physical flux, so that the
    macroscopic form is ``dot(law.flux, gradient(v))``; with the value it is
    ``dot(law.flux, value_and_gradient(v))``, where the first component is what is stored in a unit of time.

    Phases that insulate are left out, and so is what is cut off from the rest by them:
    ``rve.homogenize().properties["isolated"]`` says how much that was.

    Args:
        cell: The geometry.
        laws: A law for each phase, by name.
        value: Whether the cell receives the field's value besides its gradient, as laws with storage
            and laws that depend on the value need it.
        initial_value: The field's value in a virgin cell.
        contact: Resistance of the interface between two phases (temperature jump over flux), by the
            pair of their names. It has the cell's length in its units, so the cell's size matters.
        connection: What connects conductors beside what insulates: common "nodes", as the elements do, or
            "faces" alone, so that parts that touch in corners or edges only are left out. Elements of one
            part conduct through their common nodes anyway.
        boundary: "periodic", "linear" or "uniform_flux", or a BoundaryCondition.
        degree: Degree of the Lagrange element, that of the mesh by default.
        quadrature_degree: Degree of the quadrature rule, chosen from the element by default.
        options: When the cell counts as solved.

    Raises:
        InputError: Laws and phases do not match, a law needs the value, nothing conducts, or an option
            is not admissible.
    """
    diffusion_laws = _checked_laws(laws, value)
    checked("diffusion", "initial_value", initial_value, FINITE)
    kinematics = (
        value_diffusion_kinematics(cell.dim, initial_value) if value else diffusion_kinematics(cell.dim)
    )
    degree = element_degree(cell, degree)
    interfaces = resisting_interfaces(cell, contact or {})
    check_phases(cell, kinematics, laws, degree, interface_moduli(cell, interfaces))
    if connection not in get_args(Connection.__value__):
        raise InputError(f'connection = {connection!r}: it must be "nodes" or "faces"')
    if not value and not interfaces and answers_on_grid(cell, laws, boundary, degree):
        assert isinstance(cell, ImageCell)
        return _image_rve(cell, kinematics, diffusion_laws, degree, quadrature_degree, connection, options)
    _check_memory(cell, diffusion_laws, degree, boundary, value or bool(interfaces))
    part = _conducting_part(cell, diffusion_laws, connection)
    if part is not None:
        warn_of_isolated(cell, part.isolated, "conducts")
        kinematics = with_structure(
            kinematics, isolated=part.isolated, percolates=part.percolates, resistance=bool(interfaces)
        )
        kinematics = reporting(kinematics, **_contacts(part).facts())
        cell = part.cell
    elif interfaces:
        kinematics = with_structure(kinematics, resistance=True)
    builder = _Builder(
        cell, kinematics, diffusion_laws, degree, quadrature_degree, interfaces, boundary == "periodic"
    )
    form = builder.form(value, part if boundary != "linear" else None)
    return RVE(cell, form, boundary=boundary, options=options)


def _image_rve(
    cell: ImageCell,
    kinematics: Kinematics,
    laws: Mapping[str, PhaseLaw],
    degree: int,
    quadrature_degree: int | None,
    connection: Connection,
    options: NewtonOptions | None,
) -> ImageRVE:
    """The RVE of a periodic image: the mesh is made when more than effective properties is asked for."""
    insulators = _insulators(cell, laws)
    conductors = {name: law for name, law in laws.items() if name not in insulators}
    flowing = None
    if insulators:
        indices = [cell.names.index(name) for name in conductors]
        conducting, through_faces = np.isin(cell.phase_of_voxel, indices), connection == "faces"
        flowing = flowing_voxels(conducting, list(conductors), through_faces=through_faces)
        cut_off = cell.shares(~flowing.mask, conductors)
        isolated = {name: share for name, share in cut_off.items() if share > 0.0}
        warn_of_isolated(cell, isolated, "conducts")
        kinematics = with_structure(kinematics, isolated=isolated, percolates=flowing.percolates)
        kinematics = reporting(kinematics, **_voxel_contacts(cell, flowing, conductors).facts())

    def make() -> tuple[Cell, CellForm]:
        _check_memory(cell, laws, degree, "periodic", False)
        part = _conducting_part(cell, laws, connection)
        own = cell if part is None else part.cell
        builder = _Builder(own, kinematics, laws, degree, quadrature_degree, {}, True)
        return own, builder.form(False, part)

    return ImageRVE(
        cell,
        kinematics,
        conductors,
        make,
        quadrature_degree=quadrature_degree,
        flowing=flowing,
        options=options,
    )


def _check_memory(
    cell: Cell,
    laws: Mapping[str, PhaseLaw],
    degree: int,
    boundary: str | BoundaryCondition,
    constrained: bool,
) -> None:
    """Refuse an image that does not fit into the memory, before its mesh is made."""
    if isinstance(cell, ImageCell):
        insulators = _insulators(cell, laws)
        conductors = [name for name in cell.names if name not in insulators]
        symmetric = all(law.symmetric for law in laws.values())
        field = VoxelField(conductors, 1, degree, constrained=constrained, symmetric=symmetric)
        check_voxel_memory(cell, field, boundary)


def _insulators(cell: Cell, laws: Mapping[str, PhaseLaw]) -> list[str]:
    """Names of the phases that conduct nothing.

    Raises:
        InputError: All of them are.
    """
    insulators = [name for name in cell.names if _says(laws[name], "insulates")]
    if len(insulators) == len(cell.names):
        raise InputError(f"nothing conducts in the cell: the conductivity of {', '.join(insulators)} is zero")
    return insulators


def _checked_laws(laws: Mapping[str, PhaseLaw], value: bool) -> dict[str, PhaseLaw]:
    for name, law in laws.items():
        if finer_cell(law) is not None:
            continue
        kind = law.law if isinstance(law, MaterialField) else law
        if not isinstance(kind, DiffusionLaw):
            raise InputError(
                f"the law of phase {name!r} is a {type(kind).__name__}, which is no law of diffusion"
            )
        if not value and (_says(law, "needs_value") or _says(law, "stores")):
            what = "depends on the value of the field" if _says(law, "needs_value") else "stores"
            raise InputError(
                f"the law of phase {name!r}, a {type(kind).__name__}, {what}, but the cell receives "
                "the gradient alone: set value=True"
            )
        conducts(name, law)
    return dict(laws)


def _says(law: PhaseLaw, attribute: str) -> bool:
    """An attribute of a law of diffusion, or of one of the materials of a field."""
    return any(getattr(material, attribute, False) for material in law.materials)


def _voxel_contacts(cell: ImageCell, flowing: FlowingVoxels, conductors: Collection[str]) -> CornerContacts:
    """Contacts of the voxels without common faces; a warning where much hangs on them."""
    by_faces = connected_voxels(flowing.mask, through_faces=True)
    found = cell.shares(by_faces.mask, conductors)
    contacts = CornerContacts(contacts_of_voxels(flowing.mask), found, by_faces.percolates)
    contacts.warn(flowing.percolates, float(flowing.mask.mean()))
    return contacts


def _contacts(part: Subcell) -> CornerContacts:
    """Contacts of the elements without common faces; a warning where much hangs on them."""
    cell = part.cell
    cells = np.arange(len(cell.phases.values), dtype=np.int32)
    pieces = pieces_of(cell, cells)
    stays = np.any(pieces.loops, axis=1)[pieces.part_of_cell]
    by_faces = {**dict.fromkeys(cell.names, 0.0), **shares(cell, cells[stays])}
    percolates = tuple(np.any(pieces.loops, axis=0).tolist())
    contacts = CornerContacts(contacts_of_elements(cell, cells), by_faces, percolates)
    contacts.warn(part.percolates, sum(cell.volume_fractions.values()))
    return contacts


def _conducting_part(cell: Cell, laws: Mapping[str, PhaseLaw], connection: Connection) -> Subcell | None:
    """What conducts, where that is not the whole box."""
    insulators = _insulators(cell, laws)
    filled = sum(cell.volume_fractions.values()) > 1.0 - 1e-9
    if not insulators and filled and (cell.grid is not None or in_one_part(cell)):
        return None
    conductors = [name for name in cell.names if name not in insulators]
    return flowing_part(cell, conductors, through_facets=connection == "faces")


class _Builder:
    """Puts the form together: one field, its mirror images behind resisting faces, and the value."""

    def __init__(
        self,
        cell: Cell,
        kinematics: Kinematics,
        laws: Mapping[str, PhaseLaw],
        degree: int,
        quadrature_degree: int | None,
        contact: Contact,
        periodic: bool,
    ) -> None:
        self.cell, self.kinematics, self.laws, self.degree = cell, kinematics, laws, degree
        self.quadrature = quadrature_degree or default_quadrature_degree(cell, degree)
        self.contact, self.periodic = contact, periodic
        self.copies = contact_copies(cell, contact, degree, periodic) if contact else None

    def form(self, value: bool, part: Subcell | None) -> CellForm:
        """The form, with a pinned node in each part of the cell, if parts are given."""
        cell, shape = self.cell, self.cell.mesh.basix_cell()
        element = basix.ufl.element("Lagrange", shape, self.degree, discontinuous=bool(self.contact))
        elements = [element] * (1 + (len(self.copies.mirrored) if self.copies else 0))
        mixed = len(elements) > 1
        space = fem.functionspace(cell.mesh, basix.ufl.mixed_element(elements) if mixed else element)
        unknown, test = fem.Function(space, name="u"), ufl.TestFunction(space)
        fields, tests = (list(ufl.split(f)) if mixed else [f] for f in (unknown, test))
        terms = PhaseTerms(
            cell=cell,
            kinematics=self.kinematics,
            block=self.kinematics.block("gradient"),
            unknown=unknown,
            gradient=ufl.grad(fields[0]),
            test_gradient=ufl.grad(tests[0]),
            quadrature=self.quadrature,
        )
        field = next(iter(self.kinematics.fields))
        for phase in cell.names:
            if finer_cell(self.laws[phase]) is not None:
                terms.add_blocks(phase, self.laws[phase], {field: fields[0]}, {field: tests[0]})
            elif value:
                _add_with_value(terms, phase, self.laws[phase])
            else:
                terms.add(phase, self.laws[phase])
        modes, fixed, copies = self._algebra(space, mixed, part)
        form = replace(terms.form(modes, fixed), copies=copies)
        if self.copies is None:
            return form
        resistance = contact_term(cell, self.contact, self.copies, fields, tests, 2 * self.degree)
        return replace(form, residual=form.residual + resistance)

    def _algebra(
        self, space: fem.FunctionSpace, mixed: bool, part: Subcell | None
    ) -> tuple[Array, Mask | None, Ints | None]:
        """Modes, fixed degrees of freedom and copies among all degrees of freedom."""
        size = space.dofmap.index_map.size_local
        modes, fixed = np.zeros((size, self.kinematics.size)), np.zeros(size, dtype=bool)
        copies = None if self.copies is None else np.arange(size)
        positions, field = [np.arange(size)], space
        if mixed:
            fields = subspaces(space)
            positions, field = [dofs for _, dofs in fields], fields[0][0]
        nodes = field.tabulate_dof_coordinates()[:, : self.cell.dim]
        for number, dofs in enumerate(positions):
            modes[dofs, -self.cell.dim :] = nodes
            if copies is not None and self.copies is not None:
                used = self.copies.used[number]
                copies[dofs[used]] = positions[0][self.copies.masters[number][used]]
                fixed[dofs[~used]] = True
        if part is not None:
            pins = node_of_each_part(self.cell, field, part.part_of_cell, part.parts)
            fixed[positions[0][pins]] = True
        return modes, fixed if fixed.any() else None, copies


def _add_with_value(terms: PhaseTerms, phase: str, law: PhaseLaw) -> None:
    """Flux at the value, storage in a unit of time, and what is to be observed."""
    symbolic, value = terms.symbolic(phase, law), terms.values[VALUE]
    terms.demand(phase, symbolic.admissible_value(value))
    slope = ufl.variable(terms.gradient)
    flux = symbolic.conducted(value, terms.gradient)
    tangent = ufl.diff(symbolic.conducted(value, slope), slope)
    terms.add_work(phase, ufl.dot(flux, terms.test_gradient), flux, tangent)
    terms.is_symmetric = terms.is_symmetric and law.symmetric
    if _says(law, "stores"):
        before = terms.remember(phase, "enthalpy", symbolic.stored(value))
        terms.store(phase, VALUE, symbolic.stored_rate(value, before, terms.dt))
    for name, observed in symbolic.observed(value).items():
        terms.remember(phase, name, observed)
