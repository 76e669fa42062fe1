"""Functions on a mesh as arrays with a row for each mesh cell, which mean the same on any number of ranks.

A row holds the values at the degrees of freedom of its cell, in the order of the element, whose cell is known
by its number in the mesh as it was read or made. Values that cells share are stored with each of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from dolfinx import fem
from dolfinx import mesh as dmesh

from fe2.arrays import Array, Ints
from fe2.errors import InputError


def cell_numbers(mesh: dmesh.Mesh[Any]) -> Ints:
    """Numbers of this rank's own cells in the mesh as it was read or made."""
    owned = mesh.topology.index_map(mesh.topology.dim).size_local
    return np.asarray(mesh.topology.original_cell_index[:owned], dtype=np.int64)


def all_cell_numbers(mesh: dmesh.Mesh[Any]) -> Ints:
    """The same of all cells that this rank knows, ghosts included."""
    return np.asarray(mesh.topology.original_cell_index, dtype=np.int64)


def check_element(name: str, function: fem.Function[Any]) -> None:
    """Refuse elements whose values depend on how cells lie in the mesh of a rank, as edge elements do.

    Raises:
        InputError: The values of the function cannot be stored by cell.
    """
    if function.function_space.element.needs_dof_transformations:
        element = function.function_space.ufl_element()
        raise InputError(
            f"{name} cannot be stored in a checkpoint: the values of its element, {element}, depend on the "
            "number of ranks; Lagrange, discontinuous Lagrange and quadrature elements can, and mixed ones "
            "of them"
        )


def cell_values(function: fem.Function[Any]) -> Array:
    """Values of a function in this rank's own cells, shape (cells, degrees of freedom of a cell)."""
    rows = _places(function)[: len(cell_numbers(function.function_space.mesh))]
    values: Array = function.x.array[rows]
    return values


def cell_width(function: fem.Function[Any]) -> int:
    """Degrees of freedom of a cell."""
    dofmap = function.function_space.dofmap
    return int(dofmap.bs * dofmap.list.shape[1])


def set_cell_values(function: fem.Function[Any], values: Array) -> None:
    """Set a function from its values in all cells that this rank knows, ghosts included."""
    places = _places(function)
    function.x.array[places] = values.reshape(places.shape)


def _places(function: fem.Function[Any]) -> Ints:
    """Where the values of each cell stand in the array of the function."""
    dofmap = function.function_space.dofmap
    blocks = np.asarray(dofmap.list, dtype=np.int64)
    places = dofmap.bs * blocks[:, :, None] + np.arange(dofmap.bs)
    return places.reshape(len(blocks), dofmap.bs * blocks.shape[1])
