"""From a run file to boundary conditions and loads, as functions of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.case.build_fields import Unknown
from fe2.case.build_mesh import group_number
from fe2.case.problems import Key, Problems
from fe2.case.run_case import RunCase
from fe2.case.run_checks import boundary_names, components, constrained
from fe2.case.run_tables import BodyTable, BoundaryTable, ExchangeTable
from fe2.case.time_functions import TimeFunction
from fe2.io.gmsh_mesh import MarkedMesh

Dofs = npt.NDArray[np.int32]


@dataclass
class Conditions:
    """Boundary conditions and loads of a run.

    Attributes:
        supports: Dirichlet conditions by the name of their boundary and the component.
        fields: Name of the unknown that each boundary constrains.
        constants: Constants that follow functions of time, by the name of their column in the history.
        power: Terms of the virtual work of the loads, with the field in whose equation they stand.
        inflows: What comes in of a scalar in a unit of time, by its name, and by the name of the boundary or
            body: loads and exchange, as integrals.
    """

    supports: dict[tuple[str, int], fem.DirichletBC] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    constants: dict[str, tuple[fem.Constant, TimeFunction]] = field(default_factory=dict)
    power: list[tuple[str, ufl.Form]] = field(default_factory=list)
    inflows: dict[str, dict[str, ufl.Form]] = field(default_factory=dict)

    def apply(self, time: float) -> None:
        """Let all constants have their values of a time."""
        for constant, function in self.constants.values():
            constant.value = function(time)

    def supports_of(self, name: str) -> dict[tuple[str, int], fem.DirichletBC]:
        """The Dirichlet conditions of one unknown."""
        return {key: bc for key, bc in self.supports.items() if self.fields[key[0]] == name}

    def add_inflow(self, name: str, density: Expr, unknown: Unknown, measure: ufl.Measure) -> None:
        """Add what comes into a scalar field, and its virtual work."""
        self.power.append((unknown.field.meaning, density * unknown.test * measure))
        inflows = self.inflows.setdefault(unknown.field.name, {})
        inflows[name] = inflows[name] + density * measure if name in inflows else density * measure


class ConditionsBuilder:
    """Builds the conditions of a run file on its mesh."""

    def __init__(
        self, case: RunCase, marked: MarkedMesh, unknowns: Sequence[Unknown], problems: Problems
    ) -> None:
        """Keep what is needed.

        Args:
            case: The run file.
            marked: The mesh.
            unknowns: The macroscopic unknowns.
            problems: Receives what does not fit the mesh.
        """
        self._case, self._marked, self._problems = case, marked, problems
        self._unknowns = {unknown.field.name: unknown for unknown in unknowns}
        self._conditions = Conditions()

    def build(self) -> Conditions:
        """All conditions; collective."""
        tables = self._case.tables
        for number, (name, table) in enumerate(zip(boundary_names(tables), tables.boundary, strict=True)):
            self._add_boundary(name, table, ("boundary", number))
        dx = ufl.Measure("dx", domain=self._marked.mesh, subdomain_data=self._marked.cell_tags)
        for number, body in enumerate(tables.body):
            unknown = self._of(body)
            measure = dx if unknown.groups is None else dx(unknown.groups)
            if body.on is not None:
                key: Key = ("body", number, "on")
                group = self._group(body.on, key, "subdomain", self._marked.cell_names)
                measure = dx(group)
                if unknown.groups is not None and group not in unknown.groups:
                    self._problems.add(key, f"the law there has no {unknown.field.name}", body.on)
            self._add_load(f"body_{number}", body.load, unknown, measure, ("body", number, "load"))
            self._add_exchange(f"body_{number}", body.exchange, unknown, measure)
            self._add_spring(body.spring, unknown, measure)
        return self._conditions

    def _of(self, table: BoundaryTable | BodyTable) -> Unknown:
        """The unknown that a condition or a load is of."""
        return self._unknowns[table.field or next(iter(self._unknowns))]

    def _add_boundary(self, name: str, table: BoundaryTable, key: Key) -> None:
        group, nodes, unknown = None, np.zeros(0, dtype=np.int32), self._of(table)
        space, size = unknown.function.function_space, unknown.size
        if table.at is not None:
            nodes = self._nodes_at(table.at, space, (*key, "at"))
        elif table.on is not None:
            group = self._group(table.on, (*key, "on"), "boundary", self._marked.facet_names)
            facets = self._marked.facet_tags.find(-1 if group is None else group)
            nodes = fem.locate_dofs_topological(space, self._marked.mesh.topology.dim - 1, facets)
            if any(part is not None for part in (table.load, table.exchange, table.spring)):
                self._check_facets(facets, unknown, (*key, "on"), table.on)
        nodes = self._with_law(nodes, unknown, key)
        fixed, prescribed = constrained(table, unknown.field.vector, size)
        self._conditions.fields[name] = unknown.field.name
        for component in sorted(fixed | prescribed.keys()):
            if not self._exists(component, unknown, (*key, "fixed" if component in fixed else "prescribed")):
                continue
            value = prescribed.get(component, TimeFunction(0.0))
            column = f"{name}_prescribed"
            constant = self._constant(column, component, unknown, value, component in prescribed)
            part = space.sub(component) if size > 1 else space
            bc = fem.dirichletbc(constant, nodes * size + component, part)
            self._conditions.supports[name, component] = bc
        ds = ufl.Measure("ds", domain=self._marked.mesh, subdomain_data=self._marked.facet_tags)
        self._add_load(f"{name}_load", table.load, unknown, ds(group), (*key, "load"))
        self._add_exchange(name, table.exchange, unknown, ds(group))
        self._add_spring(table.spring, unknown, ds(group))

    def _with_law(self, nodes: Dofs, unknown: Unknown, key: Key) -> Dofs:
        """Those of some nodes at which a law has the unknown; collective."""
        if unknown.groups is None:
            return nodes
        found = np.intersect1d(nodes, unknown.nodes(self._marked))
        count = self._marked.mesh.comm.allreduce(np.array([len(nodes), len(found)]))
        if count[0] and not count[1]:
            self._problems.add(key, f"no law has the {unknown.field.name} there")
        return found

    def _check_facets(self, facets: Dofs, unknown: Unknown, key: Key, on: object) -> None:
        """Refuse a load on facets where no law has the unknown."""
        topology = self._marked.mesh.topology
        topology.create_connectivity(topology.dim - 1, topology.dim)
        cells = topology.connectivity(topology.dim - 1, topology.dim)
        beside = [cells.links(facet)[0] for facet in facets]
        if unknown.groups is not None and not np.isin(beside, unknown.cells(self._marked)).all():
            text = f"the {unknown.field.name} does not reach all of it: there are parts whose law has none"
            self._problems.add(key, text, on)

    def _add_load(self, name: str, load: Any, unknown: Unknown, measure: ufl.Measure, key: Key) -> None:
        for component, function in components(load).items() if load is not None else ():
            if not self._exists(component, unknown, key):
                continue
            constant = self._constant(name, component, unknown, function, True)
            if unknown.size > 1:
                term = constant * unknown.test[component] * measure
                self._conditions.power.append((unknown.field.meaning, term))
            else:
                self._conditions.add_inflow(name, constant, unknown, measure)

    def _add_exchange(
        self, name: str, exchange: ExchangeTable | None, unknown: Unknown, measure: ufl.Measure
    ) -> None:
        if exchange is not None:
            ambient = self._constant(f"{name}_ambient", 0, unknown, exchange.ambient, True)
            coefficient = fem.Constant(self._marked.mesh, exchange.coefficient)
            inflow = coefficient * (ambient - unknown.function)
            self._conditions.add_inflow(f"{name}_exchange", inflow, unknown, measure)

    def _add_spring(self, spring: Any, unknown: Unknown, measure: ufl.Measure) -> None:
        given = spring if isinstance(spring, dict) else dict.fromkeys("xyz"[: unknown.size], spring)
        for axis, stiffness in given.items() if spring is not None else ():
            component = "xyz".index(axis)
            force = -fem.Constant(self._marked.mesh, float(stiffness)) * unknown.function[component]
            self._conditions.power.append((unknown.field.meaning, force * unknown.test[component] * measure))

    def _constant(
        self, name: str, component: int, unknown: Unknown, function: TimeFunction, recorded: bool
    ) -> fem.Constant:
        constant = fem.Constant(self._marked.mesh, 0.0)
        if recorded:
            column = f"{name}_{'xyz'[component]}" if unknown.size > 1 else name
            self._conditions.constants[column] = (constant, function)
        return constant

    def _group(self, group: int | str, key: Key, kind: str, names: dict[str, int]) -> int | None:
        return group_number(group, names, self._problems, key, kind)

    def _exists(self, component: int, unknown: Unknown, key: Key) -> bool:
        if component < unknown.size:
            return True
        self._problems.add(key, f"the {unknown.field.name} has no component {'xyz'[component]} on this mesh")
        return False

    def _nodes_at(self, place: tuple[float, ...], space: fem.FunctionSpace, key: Key) -> Dofs:
        """The node of the unknown with the given coordinates, on the ranks that have it; collective."""
        mesh = self._marked.mesh
        dim, comm = mesh.geometry.dim, mesh.comm
        if len(place) != dim:
            self._problems.add(key, f"{dim} coordinates are needed on this mesh", place)
            return np.zeros(0, dtype=np.int32)
        nodes = space.tabulate_dof_coordinates()[:, :dim]
        distances = np.linalg.norm(nodes - np.array(place), axis=1)
        nearest = int(distances.argmin()) if len(nodes) else -1
        own = (float(distances[nearest]), nodes[nearest].tolist()) if len(nodes) else (np.inf, [])
        distance, coordinates = min(comm.allgather(own))
        extent = max(comm.allgather(float(np.ptp(nodes)) if len(nodes) else 0.0))
        if distance > 1e-6 * extent:
            near = ", ".join(f"{x:.6g}" for x in np.round(coordinates, 12) + 0.0)
            self._problems.add(key, f"there is no node of the mesh; the nearest one is at [{near}]", place)
            return np.zeros(0, dtype=np.int32)
        return np.flatnonzero(distances <= 1e-6 * extent).astype(np.int32)
