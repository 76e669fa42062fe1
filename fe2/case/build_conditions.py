"""From a run file to boundary conditions and loads, as functions of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from ufl.core.expr import Expr

from fe2.case.build_mesh import group_number
from fe2.case.problems import Key, Problems
from fe2.case.run_case import RunCase
from fe2.case.run_checks import boundary_names, components, constrained
from fe2.case.run_tables import BoundaryTable, ExchangeTable
from fe2.case.time_functions import TimeFunction
from fe2.io.gmsh_mesh import MarkedMesh

Dofs = npt.NDArray[np.int32]


@dataclass
class Conditions:
    """Boundary conditions and loads of a run.

    Attributes:
        supports: Dirichlet conditions by the name of their boundary and the component.
        constants: Constants that follow functions of time, by the name of their column in the history.
        power: The virtual work of the loads, or None.
        inflows: What comes in in a unit of time by the name of its boundary or body: loads and exchange of a
            scalar, as integrals.
    """

    supports: dict[tuple[str, int], fem.DirichletBC] = field(default_factory=dict)
    constants: dict[str, tuple[fem.Constant, TimeFunction]] = field(default_factory=dict)
    power: ufl.Form | None = None
    inflows: dict[str, ufl.Form] = field(default_factory=dict)

    def apply(self, time: float) -> None:
        """Let all constants have their values of a time."""
        for constant, function in self.constants.values():
            constant.value = function(time)

    def add_power(self, term: ufl.Form) -> None:
        """Add a term to the virtual work of the loads."""
        self.power = term if self.power is None else self.power + term

    def add_inflow(self, name: str, density: Expr, test: Expr, measure: ufl.Measure) -> None:
        """Add what comes into a scalar field, and its virtual work."""
        self.add_power(density * test * measure)
        inflow = density * measure
        self.inflows[name] = self.inflows[name] + inflow if name in self.inflows else inflow


class ConditionsBuilder:
    """Builds the conditions of a run file on its mesh."""

    def __init__(self, case: RunCase, marked: MarkedMesh, unknown: fem.Function, problems: Problems) -> None:
        """Keep what is needed.

        Args:
            case: The run file.
            marked: The mesh.
            unknown: The macroscopic unknown.
            problems: Receives what does not fit the mesh.
        """
        self._case, self._marked, self._unknown, self._problems = case, marked, unknown, problems
        self._space = unknown.function_space
        self._size = self._space.dofmap.index_map_bs
        self._test = ufl.TestFunction(self._space)
        self._conditions = Conditions()

    def build(self) -> Conditions:
        """All conditions; collective."""
        tables = self._case.tables
        for number, (name, table) in enumerate(zip(boundary_names(tables), tables.boundary, strict=True)):
            self._add_boundary(name, table, ("boundary", number))
        dx = ufl.Measure("dx", domain=self._marked.mesh, subdomain_data=self._marked.cell_tags)
        for number, body in enumerate(tables.body):
            measure = dx
            if body.on is not None:
                group = self._group(body.on, ("body", number, "on"), "subdomain", self._marked.cell_names)
                measure = dx(group)
            self._add_load(f"body_{number}", body.load, measure, ("body", number, "load"))
            self._add_exchange(f"body_{number}", body.exchange, measure)
        return self._conditions

    def _add_boundary(self, name: str, table: BoundaryTable, key: Key) -> None:
        group, nodes = None, np.zeros(0, dtype=np.int32)
        if table.at is not None:
            nodes = self._nodes_at(table.at, (*key, "at"))
        elif table.on is not None:
            group = self._group(table.on, (*key, "on"), "boundary", self._marked.facet_names)
            facets = self._marked.facet_tags.find(-1 if group is None else group)
            nodes = fem.locate_dofs_topological(self._space, self._marked.mesh.topology.dim - 1, facets)
        fixed, prescribed = constrained(table, self._case.physics, self._size)
        for component in sorted(fixed | prescribed.keys()):
            if not self._exists(component, (*key, "fixed" if component in fixed else "prescribed")):
                continue
            value = prescribed.get(component, TimeFunction(0.0))
            constant = self._constant(f"{name}_prescribed", component, value, component in prescribed)
            space = self._space.sub(component) if self._size > 1 else self._space
            bc = fem.dirichletbc(constant, nodes * self._size + component, space)
            self._conditions.supports[name, component] = bc
        ds = ufl.Measure("ds", domain=self._marked.mesh, subdomain_data=self._marked.facet_tags)
        self._add_load(f"{name}_load", table.load, ds(group), (*key, "load"))
        self._add_exchange(name, table.exchange, ds(group))

    def _add_load(self, name: str, load: Any, measure: ufl.Measure, key: Key) -> None:
        for component, function in components(load).items() if load is not None else ():
            if not self._exists(component, key):
                continue
            constant = self._constant(name, component, function, True)
            if self._size > 1:
                self._conditions.add_power(constant * self._test[component] * measure)
            else:
                self._conditions.add_inflow(name, constant, self._test, measure)

    def _add_exchange(self, name: str, exchange: ExchangeTable | None, measure: ufl.Measure) -> None:
        if exchange is not None:
            ambient = self._constant(f"{name}_ambient", 0, exchange.ambient, True)
            coefficient = fem.Constant(self._marked.mesh, exchange.coefficient)
            inflow = coefficient * (ambient - self._unknown)
            self._conditions.add_inflow(f"{name}_exchange", inflow, self._test, measure)

    def _constant(self, name: str, component: int, function: TimeFunction, recorded: bool) -> fem.Constant:
        constant = fem.Constant(self._marked.mesh, 0.0)
        if recorded:
            column = f"{name}_{'xyz'[component]}" if self._size > 1 else name
            self._conditions.constants[column] = (constant, function)
        return constant

    def _group(self, group: int | str, key: Key, kind: str, names: dict[str, int]) -> int | None:
        return group_number(group, names, self._problems, key, kind)

    def _exists(self, component: int, key: Key) -> bool:
        if component < self._size:
            return True
        self._problems.add(key, f"the {self._unknown.name} has no component {'xyz'[component]} on this mesh")
        return False

    def _nodes_at(self, place: tuple[float, ...], key: Key) -> Dofs:
        """The node of the unknown with the given coordinates, on the ranks that have it; collective."""
        mesh = self._marked.mesh
        dim, comm = mesh.geometry.dim, mesh.comm
        if len(place) != dim:
            self._problems.add(key, f"{dim} coordinates are needed on this mesh", place)
            return np.zeros(0, dtype=np.int32)
        nodes = self._space.tabulate_dof_coordinates()[:, :dim]
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
