r"""The discrete Green operator as a PETSc preconditioner for the assembled matrix of a periodic image.

The reference is the mean of the matrix over all translations of the grid, the block-circulant matrix
nearest to it in the Frobenius norm (T. Chan, SIAM J. Sci. Stat. Comput. 9 (1988) 766–771). For linear
elements this is the stiffness of the homogeneous grid with the mean tangents, so it needs to know
nothing of the physics, and follows non-linear laws as their tangents change.

PETSc finds it as ``-fe2_micro_pc_type python`` with
``-fe2_micro_pc_python_type fe2.micro.green_preconditioner.GreenPreconditioner``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from petsc4py import PETSc

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.grid.green_operator import GreenOperator
from fe2.micro.boundary import BoundaryMap
from fe2.micro.cell import Cell
from fe2.micro.form import CellForm

ATTRIBUTE = "fe2_grid"
"""Name under which a matrix knows the grid of its unknowns."""

PYTHON_TYPE = f"{__name__}.GreenPreconditioner"
"""What ``-fe2_micro_pc_python_type`` takes."""

_ENTRIES_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class GridNumbering:
    """Where the unknowns of a matrix stand on a periodic grid.

    Attributes:
        shape: Numbers of nodes along each axis.
        components: Components of the unknown.
        places: Component × nodes + node of each unknown, shape (n,).
        pins: Nodes of the grid that are pinned.
    """

    shape: tuple[int, ...]
    components: int
    places: Ints
    pins: Ints


def grid_numbering(cell: Cell, form: CellForm, boundary: BoundaryMap) -> GridNumbering | None:
    """Grid of the free fluctuations of a periodic image of degree 1, or None for other cells."""
    if cell.grid is None or boundary.name != "periodic" or form.copies is not None or len(form.fields()) > 1:
        return None
    space = form.unknown.function_space
    if space.element.basix_element.degree > 1:
        return None
    nodes, components = space.tabulate_dof_coordinates()[:, : cell.dim], space.dofmap.index_map_bs
    steps = np.rint((nodes / cell.period + 0.5) * cell.grid).astype(np.int64) % cell.grid
    at = np.ravel_multi_index(tuple(steps.T), cell.grid)
    size = int(np.prod(cell.grid))
    places = (at[:, None] + size * np.arange(components)).reshape(-1)
    kept = boundary.free >= 0
    of_free = np.empty(boundary.size, dtype=np.int64)
    of_free[boundary.free[kept]] = places[kept]
    return GridNumbering(cell.grid, components, of_free, np.unique(places[~kept] % size))


class GreenPreconditioner:
    """PETSc's context of a preconditioner of type python; the matrix has a `GridNumbering` as attribute."""

    def setUp(self, pc: PETSc.PC) -> None:  # PETSc's name
        """Average and invert the current values of the matrix."""
        _, matrix = pc.getOperators()
        grid = matrix.getAttr(ATTRIBUTE)
        if not isinstance(grid, GridNumbering):
            raise InputError(
                "the preconditioner with the discrete Green operator is for periodic images of degree 1"
            )
        self._grid = grid
        self._whole = np.zeros((grid.components, int(np.prod(grid.shape))))
        self._green = GreenOperator(mean_stencil(matrix, grid), grid.shape)

    def apply(self, pc: PETSc.PC, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Displacements of the homogeneous grid, less those of the pins, which balance the forces."""
        grid, whole = self._grid, self._whole
        whole[:] = 0.0
        whole.reshape(-1)[grid.places] = x.getArray(readonly=True)
        whole[:, grid.pins] = -whole.sum(axis=1, keepdims=True) / len(grid.pins)
        field = self._green(whole.reshape(-1, *grid.shape)).reshape(whole.shape)
        field -= field[:, grid.pins].mean(axis=1, keepdims=True)
        y.setArray(field.reshape(-1)[grid.places])


def mean_stencil(matrix: PETSc.Mat, grid: GridNumbering) -> Array:
    """Mean of the couplings of all nodes with their neighbours, shape (c, c, 3, ..., 3)."""
    indptr, columns, values = matrix.getValuesCSR()
    dim, c, size = len(grid.shape), grid.components, int(np.prod(grid.shape))
    shape = (c, c, *(3,) * dim)
    total = np.zeros(int(np.prod(shape)))
    components, nodes = np.divmod(grid.places, size)
    steps = np.array(np.unravel_index(nodes, grid.shape))
    rows_at_once = max(_ENTRIES_AT_ONCE * (len(indptr) - 1) // max(len(columns), 1), 1)
    for first in range(0, len(indptr) - 1, rows_at_once):
        last = min(first + rows_at_once, len(indptr) - 1)
        part = slice(indptr[first], indptr[last])
        rows = np.repeat(np.arange(first, last), np.diff(indptr[first : last + 1]))
        offsets = (steps[:, columns[part]] - steps[:, rows] + 1) % np.array(grid.shape)[:, None]
        key = np.ravel_multi_index((components[rows], components[columns[part]], *offsets), shape)
        total += np.bincount(key, weights=values[part], minlength=len(total))
    stencil = total.reshape(shape) / size
    # rows and columns of pins are missing: a translation costs no force nevertheless
    stencil.reshape(c, c, -1)[:, :, 3**dim // 2] -= stencil.sum(axis=tuple(range(2, 2 + dim)))
    return stencil
