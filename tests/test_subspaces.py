"""The fields of a mixed space stand where DOLFINx's own `collapse` finds them."""

from __future__ import annotations

import basix.ufl
import numpy as np
import pytest
from dolfinx import fem, mesh
from mpi4py import MPI

from fe2.subspaces import subspaces


@pytest.mark.parametrize(("shape", "degree"), [("hexahedron", 2), ("tetrahedron", 2), ("hexahedron", 1)])
def test_fields_are_those_of_collapse(shape: str, degree: int) -> None:
    box = mesh.create_box(MPI.COMM_WORLD, [[0.0] * 3, [1.0] * 3], (2, 2, 2), mesh.CellType[shape])
    element = basix.ufl.mixed_element(
        [
            basix.ufl.element("Lagrange", shape, degree, shape=(3,)),
            basix.ufl.element("Lagrange", shape, 1, discontinuous=True),
            basix.ufl.element("Discontinuous Lagrange", shape, 0),
        ]
    )
    space = fem.functionspace(box, element)
    for number, (own, positions) in enumerate(subspaces(space)):
        collapsed, expected = space.sub(number).collapse()
        assert _places(own, positions) == _places(collapsed, np.ravel(expected))


def _places(space: fem.FunctionSpace, positions: np.ndarray) -> dict[int, tuple[float, ...]]:
    """Node of each degree of freedom of the mixed space."""
    nodes = np.repeat(space.tabulate_dof_coordinates(), space.dofmap.index_map_bs, axis=0)
    return dict(zip(positions.tolist(), map(tuple, nodes.round(9).tolist()), strict=True))
