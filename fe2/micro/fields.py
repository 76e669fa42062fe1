"""Local fields of a cell: whatever a state holds, as arrays that can be drawn and measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from dolfinx import fem, plot

from fe2.arrays import Array, Ints
from fe2.micro.form import CellForm
from fe2.micro.problem import CellProblem
from fe2.physics.kinematics import Block
from fe2.quadrature import PointEvaluator, point_weights


@dataclass(frozen=True)
class LocalFields:
    """Fields on the mesh of a cell, in the layout of VTK's unstructured grids.

    Attributes:
        points: Coordinates of the nodes, shape (nodes, 3): the centre of the cell is the origin, wherever its
            mesh or image lies.
        connectivity: VTK's flat list: for each mesh cell its number of nodes and the nodes.
        cell_types: VTK's cell types.
        point_data: Nodal fields by name: the micro field "u" and its "fluctuation", the first field of a
            mixed unknown; its other fields are "u_1", "u_2", ...
        cell_data: Means over each mesh cell, by name: "phase", the local gradient and flux of each block
            (e.g. "strain", "stress") and the history variables, zero where a phase has none, in internal
            components; :func:`~fe2.io.local_fields.reported_fields` gives those that are reported.
        volumes: Volumes of the mesh cells.
        blocks: The blocks of which there are local gradients and fluxes.
    """

    points: Array
    connectivity: Ints
    cell_types: npt.NDArray[np.uint8]
    point_data: dict[str, Array]
    cell_data: dict[str, Array]
    volumes: Array
    blocks: tuple[Block, ...]


def local_fields(problem: CellProblem, state: Array) -> LocalFields:
    """Fields of a state, rebuilt without solving anything.

    Rate-dependent laws are evaluated with no time step: the flux is the one at the end of the
    step that led to the state.
    """
    layout, form = problem.layout, problem.form
    problem.load(state, 0.0)
    problem.set_field(state[layout.gradient], state[layout.fluctuation])
    problem.assemble_residual()
    space, _ = form.fields()[0]
    topology, types, points = plot.vtk_mesh(space)
    means = _CellMeans(problem)
    return LocalFields(
        points=points,
        connectivity=topology.astype(np.int64),
        cell_types=types,
        point_data=_nodal_fields(form, problem.prolong(state[layout.fluctuation])),
        cell_data=means.collect(state),
        volumes=means.volumes,
        blocks=tuple(dict.fromkeys(form.kinematics.block(term.block) for term in form.fluxes)),
    )


def _nodal_fields(form: CellForm, fluctuation: Array) -> dict[str, Array]:
    """The unknown's fields at the nodes of the first one, whose degree is the highest."""
    u = form.unknown.x.array
    (space, first), *others = form.fields()
    size = space.dofmap.index_map_bs
    data = {"u": u[first].reshape(-1, size), "fluctuation": fluctuation[first].reshape(-1, size)}
    for number, (part, dofs) in enumerate(others, start=1):
        components = part.dofmap.index_map_bs
        source = fem.Function(part)
        source.x.array[:] = u[dofs]
        shape = (components,) if components > 1 else ()
        target = fem.Function(
            fem.functionspace(part.mesh, ("Lagrange", space.element.basix_element.degree, shape))
        )
        target.interpolate(source)
        data[f"u_{number}"] = target.x.array.reshape(-1, components)
    return data


class _CellMeans:
    """Means over mesh cells of what is known at quadrature points."""

    def __init__(self, problem: CellProblem) -> None:
        self.problem = problem
        mesh, degree = problem.cell.mesh, problem.form.quadrature_degree
        self.count = mesh.topology.index_map(mesh.topology.dim).size_local
        self.weights = point_weights(mesh, degree, np.arange(self.count, dtype=np.int32)).reshape(
            self.count, -1
        )
        self.volumes: Array = self.weights.sum(axis=1)
        self.data: dict[str, Array] = {"phase": problem.cell.phases.values.astype(np.float64)}

    def collect(self, state: Array) -> dict[str, Array]:
        form = self.problem.form
        for term in form.fluxes:
            block = form.kinematics.block(term.block)
            for name, expression in ((block.name, term.gradient), (block.dual, term.flux)):
                evaluate = PointEvaluator(
                    expression, self.problem.cell.mesh, form.quadrature_degree, term.cells
                )
                self._add(name, term.cells, evaluate())
        for variable, values in self.problem.history_of(state[None, :]):
            if not variable.internal:
                self._add(variable.name, variable.cells, values[0])
        return self.data

    def _add(self, name: str, cells: npt.NDArray[np.int32], values: Array) -> None:
        components = values.shape[1]
        target = self.data.setdefault(name, np.zeros((self.count, components)))
        weighted = self.weights[cells][:, :, None] * values.reshape(len(cells), -1, components)
        target[cells] = weighted.sum(axis=1) / self.volumes[cells, None]
