"""What of the conductors hangs together in corners and edges only, whose conductance is that of the mesh."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass

import dolfinx.cpp
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from fe2.arrays import Mask
from fe2.errors import Fe2Warning
from fe2.micro.cell import Cell
from fe2.micro.facet_pairs import facet_pairs
from fe2.micro.periodicity import node_representatives

_WORTH_TELLING = 0.01
"""Share of what conducts from which on it is a warning that it hangs on corners."""


@dataclass(frozen=True)
class CornerContacts:
    """Contacts without a common face.

    Attributes:
        count: Nodes around which elements touch, but are not connected through faces.
        by_faces: Share of the cell's volume, by phase, that faces connect with its own periodic images.
        percolates: For each axis, whether faces connect from one side to the other.
    """

    count: int
    by_faces: dict[str, float]
    percolates: tuple[bool, ...]

    def facts(self) -> dict[str, object]:
        """What is reported where there are any."""
        if not self.count:
            return {}
        return {
            "corner_contacts": self.count,
            "connected_by_faces": self.by_faces,
            "percolates_by_faces": dict(zip("xyz", self.percolates, strict=False)),
        }

    def warn(self, percolates: tuple[bool, ...], share: float) -> None:
        """Warn where a result hangs on them.

        Args:
            percolates: For each axis, whether nodes connect from one side to the other.
            share: Share of the cell's volume that nodes connect with its own periodic images.
        """
        hanging = share - sum(self.by_faces.values())
        if self.count and (percolates != self.percolates or hanging > _WORTH_TELLING * share):
            axes = [axis for axis, a, b in zip("xyz", percolates, self.percolates, strict=False) if a != b]
            along = f", all that is connected along {', '.join(axes)}" if axes else ""
            warnings.warn(
                f"{hanging / share:.3g} of what conducts{along}, is connected in corners or edges only, at "
                f"{self.count} nodes: as the mesh is refined, it conducts less and less. "
                'connection = "faces" leaves it out',
                Fe2Warning,
                stacklevel=2,
            )


def contacts_of_voxels(mask: Mask) -> int:
    """Nodes of a periodic image around which its voxels touch without faces between them."""
    code = np.zeros(mask.shape, dtype=np.uint8)
    corners = list(itertools.product((0, 1), repeat=mask.ndim))
    for bit, corner in enumerate(corners):
        shifted = np.roll(mask, [-step for step in corner], axis=tuple(range(mask.ndim)))
        code |= (shifted.astype(np.uint8) << bit).astype(np.uint8)
    patterns = (np.arange(2 ** len(corners))[:, None] >> np.arange(len(corners))) & 1
    parts = [ndimage.label(pattern.reshape((2,) * mask.ndim))[1] for pattern in patterns]
    return int(np.count_nonzero(np.array(parts)[code] > 1))


def contacts_of_elements(cell: Cell, cells: npt.NDArray[np.int32]) -> int:
    """Nodes of some mesh cells, in ascending order, around which these touch without faces between them."""
    corners = dolfinx.cpp.mesh.cell_num_entities(cell.mesh.topology.cell_type, 0)
    x = cell.mesh.geometry.x[:, : cell.dim]
    masters = node_representatives(x, cell.period, partners=False)
    nodes = masters[cell.mesh.geometry.dofmaps[0][cells][:, :corners]]
    ends = np.searchsorted(cells, facet_pairs(cell, cells).cells)
    pair, one, other = np.nonzero(nodes[ends[:, 0]][:, :, None] == nodes[ends[:, 1]][:, None, :])
    links = ends[pair, 0] * corners + one, ends[pair, 1] * corners + other
    graph = sp.coo_matrix((np.ones(len(pair)), links), shape=2 * (nodes.size,))
    _, fan = connected_components(graph, directed=False)
    fans = np.unique(np.column_stack([nodes.reshape(-1), fan]), axis=0)
    return int(np.count_nonzero(np.bincount(fans[:, 0]) > 1))
