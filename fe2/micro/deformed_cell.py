"""A cell as it is deformed: its pore space is solved again, for a permeability that follows the strain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve
from scipy.spatial import KDTree

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.micro.cell import Cell
from fe2.micro.element_geometry import extreme_determinants
from fe2.micro.periodicity import TOLERANCE, node_representatives
from fe2.micro.rve import RVE
from fe2.micro.subcell import restricted
from fe2.tensors import to_matrix


def deformed_cell(cell: Cell, rve: RVE, state: Array) -> Cell:
    r"""The whole cell in a state of its mechanics: solids where they are displaced to, pores between them.

    Nodes within pores follow their neighbours, :math:`w_i = \frac1n\sum_j w_j`; elements there must not be
    turned inside out, so that strains have to be small against the width of pores over the size of the cell.

    .. code-block:: python

        pores = fe2.deformed_cell(cell, rve, state)  # rve of the solids, with boundary="linear"

    Args:
        cell: The whole cell, with elements in its pores.
        rve: What was made of it, with the displacement as its first field.
        state: A state, shape (state_size,).

    Raises:
        InputError: The deformed cell is no box: it is sheared, or its faces are no planes any more; or an
            element is turned inside out.
    """
    part, _ = restricted(cell, np.arange(len(cell.phases.values), dtype=np.int32))
    x, dim = part.mesh.geometry.x[:, : cell.dim], cell.dim
    strain = rve.kinematics.slices["strain"]
    E = to_matrix(state[rve.state.gradient][strain])
    if np.any(np.abs(E - np.diag(np.diag(E))) > TOLERANCE):
        raise InputError(f"a cell with the strain {E.tolist()} is no box: it is sheared")
    fields = rve.fields(state)
    distance, nearest = KDTree(fields.points[:, :dim]).query(x)
    known = distance < TOLERANCE * cell.period.max()
    w = np.zeros_like(x)
    w[known] = fields.point_data["fluctuation"][nearest[known]]
    w = _spread(part, w, known)
    period = cell.period * (1.0 + np.diag(E))
    for axis in range(dim):
        at_face = np.abs(np.abs(x[:, axis]) - cell.period[axis] / 2) < TOLERANCE * cell.period[axis]
        moved = w[at_face, axis]
        if np.ptp(moved) > TOLERANCE * cell.period[axis]:
            raise InputError(
                f"the faces of the deformed cell along {'xyz'[axis]} are no planes: they move by "
                f'{moved.min():.3g} to {moved.max():.3g}; with boundary = "linear" they stay planes'
            )
        w[:, axis] -= moved.mean()
    upright = extreme_determinants(part.mesh)[0] > 0.0
    x[:] = x * (1.0 + np.diag(E)) + w
    low, high = extreme_determinants(part.mesh)
    if turned := np.count_nonzero(np.where(upright, low, -high) <= 0.0):
        raise InputError(
            f"{turned} elements of the deformed cell are turned inside out: the strain {np.diag(E).tolist()} "
            "is not small against the width of its pores"
        )
    return replace(part, period=period, whole=cell.whole, grid=None)


def _spread(cell: Cell, w: Array, known: Array) -> Array:
    """Fluctuations of all nodes: the mean of the neighbours where they are not known, periodic."""
    masters = node_representatives(cell.mesh.geometry.x[:, : cell.dim], cell.period, partners=False)
    nodes = masters[cell.mesh.geometry.dofmaps[0]]
    i, j = np.repeat(nodes, nodes.shape[1], axis=1).ravel(), np.tile(nodes, nodes.shape[1]).ravel()
    graph = sp.csr_matrix((np.ones(len(i)), (i, j)), shape=(len(w), len(w)))
    laplacian = sp.diags(np.asarray(graph.sum(axis=1)).ravel()) - graph
    is_known = np.zeros(len(w), dtype=bool)
    is_known[masters[known]] = True
    values = np.zeros_like(w)
    values[masters[known]] = w[known]
    free = np.flatnonzero(~is_known & (masters == np.arange(len(w))))
    if len(free):
        right = -(laplacian[free][:, is_known] @ values[is_known])
        values[free] = spsolve(laplacian[free][:, free].tocsc(), right).reshape(len(free), -1)
    spread: Array = values[masters]
    return spread
