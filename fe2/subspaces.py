"""The fields of a mixed space: a space for each, and where its degrees of freedom stand among all.

DOLFINx's `collapse` gives the same, in a time that grows with the square of the number of mesh cells on some
meshes of hexahedra: minutes for ten thousand. Here the two tables of degrees of freedom are compared.
"""

from __future__ import annotations

import numpy as np
from dolfinx import fem

from fe2.arrays import Ints


def subspace(space: fem.FunctionSpace, number: int) -> tuple[fem.FunctionSpace, Ints]:
    """Space of one field of a mixed space, and the place of each of its degrees of freedom; collective.

    Args:
        space: A mixed space.
        number: Number of the field.

    Returns:
        The space on its own, and positions of shape (n,), n the degrees of freedom of this rank and its
        ghosts, those of a node one after the other.
    """
    within = space.sub(number)
    own = fem.functionspace(space.mesh, within.ufl_element())
    index_map, block = own.dofmap.index_map, own.dofmap.index_map_bs
    nodes = own.dofmap.list.astype(np.int64)
    places = (nodes[:, :, None] * block + np.arange(block)).reshape(len(nodes), nodes.shape[1] * block)
    positions = np.empty((index_map.size_local + index_map.num_ghosts) * block, dtype=np.int64)
    positions[places] = within.dofmap.list
    return own, positions


def subspaces(space: fem.FunctionSpace) -> list[tuple[fem.FunctionSpace, Ints]]:
    """All fields of a mixed space, as :func:`subspace` has them; collective."""
    return [subspace(space, number) for number in range(space.num_sub_spaces)]
