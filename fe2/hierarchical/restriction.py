"""A cell's form on a few of its mesh cells, with a weight for each: the very same UFL on a small mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import basix.ufl
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from ufl.algorithms import expand_derivatives
from ufl.algorithms.analysis import extract_arguments, extract_coefficients, extract_constants, extract_type
from ufl.core.expr import Expr
from ufl.geometry import GeometricQuantity

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm, Condition, HistoryVariable, MacroValue, PointLawTerm

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Restriction:
    """A cell's form on some of its mesh cells.

    Attributes:
        cell: The mesh cells, with the period of the whole cell.
        form: The form, each mesh cell with its weight and with degrees of freedom of its own.
        parents: Mesh cell of the whole cell for each of the restricted one, shape (k,).
        dofs: Degree of freedom of the whole cell's unknown for each of the restricted one's.
    """

    cell: Cell
    form: CellForm
    parents: Ints
    dofs: npt.NDArray[np.int64]


def restrict(cell: Cell, form: CellForm, cells: Ints, weights: Array) -> Restriction:
    r"""The form :math:`\sum_e w_e r_e(u; v)` on the mesh cells e that are given.

    Args:
        cell: The whole cell.
        form: Its form.
        cells: Mesh cells, increasing.
        weights: Weight of each, positive.

    Raises:
        InputError: The form has integrals over facets, which a cubature over mesh cells does not see.
    """
    check_integrals(form)
    mesh, entities, _, _ = dmesh.create_submesh(cell.mesh, cell.dim, cells)
    numbers = np.arange(len(cells), dtype=np.int32)
    parents = entities.sub_topology_to_topology(numbers, inverse=False)
    tags = dmesh.meshtags(mesh, cell.dim, numbers, cell.phases.values[parents])
    part = Cell(mesh=mesh, phases=tags, names=cell.names, period=cell.period, whole=False)
    weight = fem.Function(fem.functionspace(mesh, ("DG", 0)), name="cubature_weight")
    weight.x.array[weight.function_space.dofmap.list[:, 0]] = weights[np.searchsorted(cells, parents)]
    transplant = _Transplant(mesh, parents, form.unknown.function_space.ufl_element())
    unknown = transplant.function(form.unknown)
    history = tuple(transplant.variable(variable) for variable in form.history)
    restricted = replace(
        form,
        unknown=unknown,
        residual=transplant.form(form.residual, weight),
        jacobian=None if form.jacobian is None else transplant.form(form.jacobian, weight),
        modes=form.modes[transplant.dofs(form.unknown)],
        values=tuple(transplant.value(value, weight) for value in form.values),
        dt=transplant.constant(form.dt),
        history=history,
        point_laws=tuple(transplant.point_law(term, form.history, history) for term in form.point_laws),
        conditions=tuple(transplant.condition(condition) for condition in form.conditions),
        parameters=tuple(transplant.function(parameter) for parameter in form.parameters),
        fluxes=(),
        fixed=None,
        copies=None,
    )
    return Restriction(part, restricted, parents, transplant.dofs(form.unknown))


def check_integrals(form: CellForm) -> None:
    """Refuse a form with integrals over facets, or with bounds, which few modes do not see.

    Raises:
        InputError: It has some.
    """
    if form.bounds:
        raise InputError(
            "a form whose unknown has bounds cannot be reduced: bounds are not those of its modes"
        )
    if any(integral.integral_type() != "cell" for integral in form.residual.integrals()):
        raise InputError(
            "a form with integrals over facets, as contact resistance adds them, cannot be reduced: the "
            "cubature chooses mesh cells"
        )


class _Transplant:
    """Moves UFL from the mesh of a cell to a mesh of some of its mesh cells.

    Every mesh cell gets degrees of freedom of the unknown of its own: what couples them are the modes.
    """

    def __init__(self, mesh: dmesh.Mesh, parents: Ints, coupled: Any) -> None:
        self.mesh, self.parents, self._coupled = mesh, parents, coupled
        self._functions: dict[fem.Function, fem.Function] = {}
        self._constants: dict[fem.Constant, fem.Constant] = {}
        self._spaces: dict[int, fem.FunctionSpace] = {}
        self._tagged: dict[int, dmesh.MeshTags] = {}  # integrals with the same tags have to share them

    def space(self, space: fem.FunctionSpace) -> fem.FunctionSpace:
        key = id(space)
        if key not in self._spaces:
            element = space.ufl_element()
            self._spaces[key] = fem.functionspace(
                self.mesh, broken(element) if element == self._coupled else element
            )
        return self._spaces[key]

    def function(self, function: fem.Function) -> fem.Function:
        """The function's twin, with its values."""
        if function not in self._functions:
            twin = fem.Function(self.space(function.function_space), name=function.name)
            twin.x.array[:] = function.x.array[self.dofs(function)]
            self._functions[function] = twin
        return self._functions[function]

    def dofs(self, function: fem.Function) -> npt.NDArray[np.int64]:
        """Degree of freedom of the function for each of its twin's: both number a mesh cell's alike."""
        whole, part = function.function_space.dofmap, self.space(function.function_space).dofmap
        block = part.index_map_bs
        nodes = np.zeros(part.index_map.size_local, dtype=np.int64)
        nodes[part.list] = whole.list[self.parents]
        return (nodes[:, None] * block + np.arange(block)).reshape(-1)

    def constant(self, constant: fem.Constant) -> fem.Constant:
        if constant not in self._constants:
            self._constants[constant] = fem.Constant(self.mesh, constant.value.copy())
        return self._constants[constant]

    def expression(self, expression: Expr) -> Expr:
        expression = expand_derivatives(expression)
        mapping: dict[Any, Any] = {f: self.function(f) for f in extract_coefficients(expression)}
        mapping |= {c: self.constant(c) for c in extract_constants(expression)}
        for argument in extract_arguments(expression):
            mapping[argument] = ufl.Argument(self.space(argument.ufl_function_space()), argument.number())
        for quantity in extract_type(expression, GeometricQuantity):
            mapping[quantity] = type(quantity)(self.mesh.ufl_domain())
        return ufl.replace(expression, mapping)

    def form(self, form: ufl.Form, weight: fem.Function) -> ufl.Form:
        return ufl.Form([self._integral(integral, weight) for integral in form.integrals()])

    def value(self, value: MacroValue, weight: fem.Function) -> MacroValue:
        return replace(
            value, constant=self.constant(value.constant), conjugate=self.form(value.conjugate, weight)
        )

    def _integral(self, integral: Any, weight: fem.Function) -> Any:
        data = integral.subdomain_data()
        return integral.reconstruct(
            integrand=weight * self.expression(integral.integrand()),
            domain=self.mesh.ufl_domain(),
            subdomain_data=None if data is None else self._tags(data),
        )

    def _tags(self, tags: dmesh.MeshTags) -> dmesh.MeshTags:
        if id(tags) not in self._tagged:
            _, here, there = np.intersect1d(self.parents, tags.indices, return_indices=True)
            order = np.argsort(here)
            self._tagged[id(tags)] = dmesh.meshtags(
                self.mesh, self.mesh.topology.dim, here[order].astype(np.int32), tags.values[there[order]]
            )
        return self._tagged[id(tags)]

    def cells(self, cells: Ints) -> Ints:
        return np.flatnonzero(np.isin(self.parents, cells)).astype(np.int32)

    def variable(self, variable: HistoryVariable) -> HistoryVariable:
        initial = variable.initial
        return replace(
            variable,
            value=self.function(variable.value),
            cells=self.cells(variable.cells),
            update=None if variable.update is None else self.expression(variable.update),
            initial=initial if len(initial) == 1 else initial[self.parents],
        )

    def point_law(
        self, term: PointLawTerm, old: tuple[HistoryVariable, ...], new: tuple[HistoryVariable, ...]
    ) -> PointLawTerm:
        twins: dict[int, HistoryVariable] = {id(a): b for a, b in zip(old, new, strict=True)}
        return replace(
            term,
            cells=self.cells(term.cells),
            gradient=self.expression(term.gradient),
            flux=self.function(term.flux),
            tangent=self.function(term.tangent),
            history={name: twins[id(variable)] for name, variable in term.history.items()},
            rows=None if term.rows is None else term.rows[self.parents],
        )

    def condition(self, condition: Condition) -> Condition:
        return replace(condition, cells=self.cells(condition.cells), values=self.expression(condition.values))


def broken(element: Any) -> Any:
    """The same element without continuity: every mesh cell has degrees of freedom of its own."""
    if element.block_size > 1:
        return basix.ufl.blocked_element(broken(element.sub_elements[0]), shape=element.reference_value_shape)
    if element.num_sub_elements > 1:
        return basix.ufl.mixed_element([broken(part) for part in element.sub_elements])
    return basix.ufl.element(
        element.element_family,
        element.cell_type,
        element.degree,
        lagrange_variant=element.lagrange_variant,
        discontinuous=True,
    )


def cellwise(form: CellForm, space: fem.FunctionSpace) -> ufl.Form:
    """The residual with test functions of a broken space: its components are the mesh cells' own forces."""
    return ufl.replace(
        expand_derivatives(form.residual),
        {argument: ufl.TestFunction(space) for argument in form.residual.arguments()},
    )
