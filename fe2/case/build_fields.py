"""From a run file to the macroscopic unknowns, and to sums over their equations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.case.fields import Field
from fe2.case.run_case import RunCase
from fe2.io.gmsh_mesh import MarkedMesh
from fe2.physics.kinematics import Kinematics


@dataclass(frozen=True, eq=False)
class Unknown:
    """A macroscopic unknown on its mesh.

    Attributes:
        field: What the file says of it.
        function: The unknown itself.
        test: Its test function.
    """

    field: Field
    function: fem.Function
    test: Expr

    @property
    def size(self) -> int:
        """Number of components."""
        return int(self.function.function_space.dofmap.index_map_bs)


def build_unknowns(case: RunCase, marked: MarkedMesh, kinematics: Kinematics) -> list[Unknown]:
    """The unknowns with their initial values, each in a space of its own; collective."""
    found = []
    for field in case.fields:
        shape = kinematics.fields[field.meaning]
        space = fem.functionspace(marked.mesh, ("Lagrange", field.degree, shape))
        function = fem.Function(space, name=field.name)
        function.x.array[:] = initial_value(case, field)
        found.append(Unknown(field, function, ufl.TestFunction(space)))
    return found


def initial_value(case: RunCase, field: Field) -> float:
    """Initial value of an unknown: what the file says, or that of the cells that receive it, or zero."""
    if field.initial is not None:
        return field.initial
    return next(iter(initial_values_of_cells(case, field)), 0.0)


def initial_values_of_cells(case: RunCase, field: Field) -> list[float]:
    """Values in the virgin micro models that receive the value of an unknown."""
    models = [law for law in case.laws.values() if law.model is not None]
    values = [(law.cell or case).physics.values for law in models]
    return [found[field.meaning] for found in values if field.meaning in found]


def starts_elsewhere(case: RunCase) -> bool:
    """Whether cells that remember a value have to learn that the run starts from another one."""
    return any(
        value != initial_value(case, field)
        for field in case.fields
        for value in initial_values_of_cells(case, field)
    )


def by_meaning(unknowns: Sequence[Unknown]) -> tuple[dict[str, fem.Function], dict[str, Expr]]:
    """The functions and their test functions by the names that the physics has for them."""
    functions = {unknown.field.meaning: unknown.function for unknown in unknowns}
    return functions, {unknown.field.meaning: unknown.test for unknown in unknowns}


def components_of(expression: Expr) -> list[Expr]:
    """Components of a UFL vector, or a scalar alone."""
    return [expression[i] for i in range(expression.ufl_shape[0])] if expression.ufl_shape else [expression]


def residuals(terms: Iterable[tuple[str, ufl.Form]], unknowns: Sequence[Unknown]) -> list[ufl.Form]:
    """Sums of terms, by the field whose equation they stand in, in the order of the unknowns."""
    kept = list(terms)
    sums = []
    for unknown in unknowns:
        own = [form for meaning, form in kept if meaning == unknown.field.meaning]
        sums.append(sum(own[1:], own[0]))
    return sums
