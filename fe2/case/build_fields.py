"""From a run file to the macroscopic unknowns, and to sums over their equations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem, la
from ufl.core.expr import Expr

from fe2.case.fields import Field
from fe2.case.run_case import RunCase
from fe2.io.gmsh_mesh import MarkedMesh

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Unknown:
    """A macroscopic unknown on its mesh.

    Attributes:
        field: What the file says of it.
        function: The unknown itself.
        test: Its test function.
        groups: Numbers of the subdomains whose laws have it, or None where all have.
        elsewhere: Numbers of the other subdomains.
    """

    field: Field
    function: fem.Function
    test: Expr
    groups: tuple[int, ...] | None = None
    elsewhere: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of components."""
        return int(self.function.function_space.dofmap.index_map_bs)

    def cells(self, marked: MarkedMesh) -> Ints:
        """The mesh cells of this rank, ghosts included, in which a law has it."""
        if self.groups is None:
            return np.arange(len(marked.cell_tags.values), dtype=np.int32)
        return np.flatnonzero(np.isin(marked.cell_tags.values, self.groups)).astype(np.int32)

    def nodes(self, marked: MarkedMesh) -> Ints:
        """This rank's nodes of these cells, ghosts included; collective."""
        function = fem.Function(self.function.function_space)
        dofs = self.function.function_space.dofmap.list[self.cells(marked)].reshape(-1)
        at_nodes = function.x.array.reshape(-1, self.size)
        at_nodes[dofs] = 1.0
        function.x.scatter_reverse(la.InsertMode.add)  # a node may be in the cells of other ranks only
        function.x.scatter_forward()
        return np.flatnonzero(at_nodes[:, 0]).astype(np.int32)

    def no_work(self, marked: MarkedMesh) -> list[tuple[str, ufl.Form]]:
        """A term that is zero where no law has it: its matrix has rows there all the same."""
        dx = ufl.Measure("dx", domain=marked.mesh, subdomain_data=marked.cell_tags)
        work = fem.Constant(marked.mesh, 0.0) * ufl.inner(self.function, self.test)
        return [(self.field.meaning, work * dx(self.elsewhere))] if self.elsewhere else []

    def held(self, marked: MarkedMesh) -> fem.DirichletBC | None:
        """What holds it where no law has it, at its initial value; collective."""
        if self.groups is None:
            return None
        space = self.function.function_space
        every = space.dofmap.index_map.size_local + space.dofmap.index_map.num_ghosts
        return fem.dirichletbc(self.function.copy(), np.setdiff1d(np.arange(every), self.nodes(marked)))


def build_unknowns(case: RunCase, marked: MarkedMesh, groups: Mapping[str, int | None]) -> list[Unknown]:
    """The unknowns with their initial values, each in a space of its own; collective.

    Args:
        case: The run file.
        marked: The mesh.
        groups: Number of the subdomain of each law, or None for the whole mesh.
    """
    found = []
    for field in case.fields:
        shape = (marked.mesh.geometry.dim,) if field.vector else ()
        space = fem.functionspace(marked.mesh, ("Lagrange", field.degree, shape))
        function = fem.Function(space, name=field.name)
        function.x.array[:] = initial_value(case, field)
        own = {groups[name] for name, law in case.laws.items() if field.meaning in law.physics.unknowns}
        found.append(Unknown(field, function, ufl.TestFunction(space), *_parts(own, set(groups.values()))))
    return found


def _parts(own: set[int | None], every: set[int | None]) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    """Numbers of some subdomains, None where they are all of them, and of the others."""
    numbers, others = (tuple(k for k in groups if k is not None) for groups in (own, every - own))
    return (numbers if others else None), others


def initial_value(case: RunCase, field: Field) -> float:
    """Initial value of an unknown: what the file says, or that of the cells that receive it, or zero."""
    if field.initial is not None:
        return field.initial
    return next(iter(initial_values_of_cells(case, field)), 0.0)


def initial_values_of_cells(case: RunCase, field: Field) -> list[float]:
    """Values in the virgin micro models that receive the value of an unknown."""
    models = [law for law in case.laws.values() if law.model is not None]
    values = [law.physics.values for law in models]
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
