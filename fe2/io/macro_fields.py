r"""Macroscopic fields for output: nodal values of the unknown, and cell means of what the laws know.

Micro models answer at quadrature points; what is drawn is the mean over each macroscopic cell,

.. math:: \bar f_e = \frac{\sum_q w_q |J_q|\, f_q}{\sum_q w_q |J_q|}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from dolfinx import fem, plot
from dolfinx import mesh as dmesh

from fe2.arrays import Array, Ints
from fe2.history_names import history_columns
from fe2.io.vtu import Grid

if TYPE_CHECKING:
    from fe2.macro.law import HomogenizedLaw as Law


def fluxes(law: Law) -> Array:
    """Fluxes at this rank's points, internal components, shape (n, m), cell by cell."""
    return at_points(law, law.flux)


def at_points(law: Law, function: fem.Function[Any]) -> Array:
    """Values of a law's quadrature function of m components at this rank's points, shape (n, m)."""
    values: Array = function.x.array.reshape(-1, law.micro.kinematics.size)[law.rows]
    return values


def set_at_points(law: Law, function: fem.Function[Any], values: Array) -> None:
    """Set a law's quadrature function from values (n, m); collective."""
    function.x.array.reshape(-1, values.shape[1])[law.rows] = values
    function.x.scatter_forward()


class NodalFields:
    """The unknowns on a grid of Lagrange cells of their own degree.

    A mixed unknown becomes one field for each part. All fields have the degree of the highest; an unknown on
    another mesh, such as a multiplier on a surface, is left out.

    Attributes:
        grid: This rank's own cells with their nodes.
        components: Number of components of each field, by name.
    """

    def __init__(self, unknowns: Sequence[fem.Function[Any]], mesh: dmesh.Mesh[Any] | None = None) -> None:
        """Choose the nodes; collective.

        Args:
            unknowns: The macroscopic unknowns.
            mesh: The mesh, that of the first unknown by default.
        """
        mesh = unknowns[0].function_space.mesh if mesh is None else mesh
        self._sources = [part for u in unknowns if u.function_space.mesh is mesh for part in _parts(u)]
        elements = [source.function_space.ufl_element() for source, _ in self._sources]
        degree = max([1, *(element.degree for element in elements)])
        self._fields = {
            name: fem.Function(
                fem.functionspace(mesh, ("Lagrange", degree, element.reference_value_shape)), name=name
            )
            for (_, name), element in zip(self._sources, elements, strict=True)
        }
        spaces = [field.function_space for field in self._fields.values()]
        space = spaces[0] if spaces else fem.functionspace(mesh, ("Lagrange", degree))
        connectivity, types, points = plot.vtk_mesh(space)
        nodes = connectivity.reshape(len(types), space.dofmap.dof_layout.num_dofs + 1)[:, 1:]
        self._nodes, renumbered = np.unique(nodes, return_inverse=True)
        self.grid = Grid(points[self._nodes], renumbered.reshape(nodes.shape), types)
        self.components = {name: field.function_space.dofmap.bs for name, field in self._fields.items()}

    def values(self) -> dict[str, Array]:
        """Present values at the nodes of the grid, by name, each of shape (nodes, components)."""
        result = {}
        for source, name in self._sources:
            field = self._fields[name]
            field.interpolate(source)
            result[name] = field.x.array.reshape(-1, self.components[name])[self._nodes]
        return result


def _parts(unknown: fem.Function[Any]) -> list[tuple[fem.Function[Any], str]]:
    """The parts of a mixed unknown with their names, or any other one as it is."""
    if not unknown.function_space.ufl_element().is_mixed:
        return [(unknown, unknown.name)]
    return [(unknown.sub(k), f"{unknown.name}_{k}") for k in range(unknown.function_space.num_sub_spaces)]


class CellFields:
    """Cell means of gradient and flux of all laws, and of the history variables' averages over the RVE.

    Beside them stands "cell", each cell's number in the mesh as it was read or made: the one that
    error messages and watched points name.

    Names are those of the physics, with the component behind an underscore: ``strain_xx``,
    ``stress_xy``. Gradient and flux are in reported components: engineering shear strains and
    plain shear stresses in mechanics. Of history variables see
    :func:`~fe2.history_names.history_names`. Indicators of the physics, such as the loss of
    ellipticity, are no means but the smallest values in the cell, the critical ones. Laws with fields
    of the same name share the field; where none of them holds, it is not a number.

    Attributes:
        names: Names of the fields, the same on all ranks.
    """

    def __init__(self, mesh: dmesh.Mesh[Any], laws: Sequence[Law], numbers: Ints | None = None) -> None:
        """Compute the quadrature weights; collective.

        Args:
            mesh: The mesh.
            laws: Laws, of which those on this mesh are taken.
            numbers: Numbers of this rank's own cells; those of the mesh's input by default.
        """
        owned = mesh.topology.index_map(mesh.topology.dim).size_local
        self._laws = [_LawMeans(law) for law in laws if law.flux.function_space.mesh is mesh]
        found = mesh.topology.original_cell_index[:owned] if numbers is None else numbers
        self._numbers = found.astype(np.float64)
        self.names = list(dict.fromkeys(["cell", *(name for law in self._laws for name in law.names)]))

    def values(self) -> dict[str, Array]:
        """Present values in this rank's own cells, by name, each of shape (cells,); collective."""
        result = {name: np.full(len(self._numbers), np.nan) for name in self.names}
        result["cell"] = self._numbers
        for law in self._laws:
            for name, column in zip(law.names, law.columns().T, strict=True):
                result[name][law.cells] = column
        return result


class _LawMeans:
    """Cell values of one law's fields, as columns."""

    def __init__(self, law: Law) -> None:
        self._law, self.cells = law, law.cells
        kinematics = law.micro.kinematics
        virgin = law.micro.averages(law.micro.initial_state()[None, :])
        self.names = [*kinematics.gradient_names, *kinematics.flux_names]
        self.names += list(history_columns(virgin, kinematics.local_components))
        self._means = len(self.names)
        self.names += list(kinematics.indicators(np.zeros((0, kinematics.size, kinematics.size))))
        volumes = law.weights().reshape(len(law.cells), law.points_per_cell)
        self._weights = volumes / volumes.sum(axis=1, keepdims=True)

    def columns(self) -> Array:
        """Means of gradient, flux and history, and least indicators, shape (cells of the law, fields)."""
        least = [v.reshape(self._weights.shape).min(axis=1) for v in self._law.indicators().values()]
        return np.column_stack([self._cell_means(), *least])

    def _cell_means(self) -> Array:
        law, kinematics = self._law, self._law.micro.kinematics
        history = history_columns(law.pool.averages(), kinematics.local_components)
        columns = [law.gradients() * kinematics.scale, fluxes(law) / kinematics.scale, *history.values()]
        values = np.column_stack(columns).reshape(*self._weights.shape, self._means)
        return np.einsum("eq,eqc->ec", self._weights, values)
