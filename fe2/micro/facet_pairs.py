"""Which facets of a part of a cell join two mesh cells, within the box or through the period, and which none.

A fluid passes through facets only: what touches in an edge or a corner is not connected. Facets that
join nothing are walls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from dolfinx import mesh as dmesh

from fe2.arrays import Ints
from fe2.micro.cell import Cell
from fe2.micro.periodicity import node_representatives


@dataclass(frozen=True, eq=False)
class FacetPairs:
    """The facets of some mesh cells.

    Attributes:
        cells: Mesh cells on both sides of a facet, shape (n, 2).
        facets: The facets, those of the first of them, shape (n,).
        shift: Periods by which the facet of the first cell lies farther than that of the second, shape
            (n, dim); zero within the box.
        walls: Facets that belong to one mesh cell and have no partner through the period.
    """

    cells: Ints
    facets: npt.NDArray[np.int32]
    shift: Ints
    walls: npt.NDArray[np.int32]


def facet_pairs(cell: Cell, cells: npt.NDArray[np.int32]) -> FacetPairs:
    """Facets of the given mesh cells of a cell on one rank, as if there were no others."""
    mesh, dim = cell.mesh, cell.dim
    mesh.topology.create_entities(dim - 1)
    mesh.topology.create_connectivity(dim - 1, dim)
    links = mesh.topology.connectivity(dim - 1, dim)
    facets = np.repeat(np.arange(links.num_nodes, dtype=np.int32), np.diff(links.offsets))
    kept = np.isin(links.array, cells)
    facets, owners = facets[kept], links.array[kept].astype(np.int64)
    shared = np.bincount(facets, minlength=links.num_nodes)[facets] == 2
    inner, between = owners[shared].reshape(-1, 2), facets[shared][::2]
    outer, owners = facets[~shared], owners[~shared]
    x = dmesh.compute_midpoints(mesh, dim - 1, outer)[:, :dim]
    masters = node_representatives(x, cell.period, partners=False)
    copies = np.flatnonzero(masters != np.arange(len(outer)))
    joined = np.column_stack([owners[copies], owners[masters[copies]]])
    shift = np.rint((x[copies] - x[masters[copies]]) / cell.period).astype(np.int64)
    wall = np.ones(len(outer), dtype=bool)
    wall[copies] = wall[masters[copies]] = False
    return FacetPairs(
        cells=np.vstack([inner, joined]),
        facets=np.concatenate([between, outer[copies]]),
        shift=np.vstack([np.zeros((len(inner), dim), dtype=np.int64), shift]),
        walls=outer[wall],
    )
